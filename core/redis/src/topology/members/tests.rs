use proptest::prelude::*;

use super::*;

#[test]
fn slots_are_those_of_the_specification() {
    assert_eq!(slot(b"123456789"), 0x31c3);
    assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
    assert_eq!(slot(b"foo{bar}{zap}"), slot(b"bar"));
    assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    assert_ne!(slot(b"foo{}bar"), slot(b""));
}

#[test]
fn cluster_nodes_is_read_with_all_its_oddities() {
    let text = "aa 10.0.0.1:7000@17000,node-a.example myself,master - 0 0 1 connected 0-99 200 [300->-bb]\n\
        bb :7001@17001 slave aa 0 0 1 connected\n\
        cc 10.0.0.3:7002@17002,,tls-port=0,shard-id=x master,fail - 0 0 3 disconnected\n\
        dd 10.0.0.4:0@0 slave,noaddr aa 0 0 1 disconnected\nnonsense\n";
    let members = cluster_nodes(text, "seed");
    let seen: Vec<_> = members
        .iter()
        .map(|m| (m.address.to_string(), m.role.unwrap(), m.shard.as_deref().unwrap(), m.serves))
        .collect();
    assert_eq!(
        seen,
        [
            ("node-a.example:7000".to_owned(), Role::Primary, "aa", true),
            ("seed:7001".to_owned(), Role::Replica, "aa", false),
            ("10.0.0.3:7002".to_owned(), Role::Primary, "cc", false),
        ]
    );
    assert_eq!(members[0].slots.as_deref(), Some(&[(0, 99), (200, 200)][..]));
}

#[test]
fn replication_names_the_master_and_the_replicas() {
    let here = Address::Tcp("here".into(), 1);
    let info = Info::parse(
        "role:master\r\nconnected_slaves:1\r\nslave0:ip=10.0.0.2,port=7,state=online,offset=1\r\nslave_priority:1",
    );
    let (member, others) = replication(&info, &here);
    assert_eq!((member.role, member.serves), (Some(Role::Primary), true));
    assert_eq!(others, [Address::Tcp("10.0.0.2".into(), 7)]);
    let info = Info::parse("role:slave\r\nmaster_host:m\r\nmaster_port:6379");
    let (member, others) = replication(&info, &here);
    assert_eq!((member.role, others), (Some(Role::Replica), vec![Address::Tcp("m".into(), 6379)]));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text: String, key: Vec<u8>) {
        let _ = cluster_nodes(&text, "h");
        let _ = replication(&Info::parse(&text), &Address::Tcp("h".into(), 1));
        prop_assert!(slot(&key) < 16384);
    }
}

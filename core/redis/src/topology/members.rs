//! What servers say about each other, in one form.

use redis::Value;

use super::Role;
use crate::endpoint::Address;
use crate::info::Info;
use crate::reply::{bytes, count, get, items};

/// A node as another one, or it itself, describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) address: Address,
    pub(crate) id: Option<String>,
    pub(crate) role: Option<Role>,
    /// The shard as the server names it, or the id of its primary.
    pub(crate) shard: Option<String>,
    pub(crate) serves: bool,
    pub(crate) slots: Option<Vec<(u16, u16)>>,
}

/// CLUSTER SHARDS. `asked` is the host that was asked, which a node without a name of its own stands on.
pub(crate) fn cluster_shards(value: &Value, asked: &str, tls: bool) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    for shard in items(value)? {
        let bounds: Vec<u16> = items(get(shard, "slots")?)?.iter().filter_map(number).collect();
        let slots: Vec<_> = bounds.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let nodes = items(get(shard, "nodes")?)?;
        let primary = nodes.iter().find(|node| is(node, "role", "master") && !is(node, "health", "failed"));
        let primary = primary.or_else(|| nodes.iter().find(|node| is(node, "role", "master")));
        let name = string(shard, "id").or_else(|| string(primary?, "id"));
        for node in nodes {
            let port = if tls { "tls-port" } else { "port" };
            let Some(port) = get(node, port).or_else(|| get(node, "port")).and_then(number) else { continue };
            let is_primary = primary.is_some_and(|primary| std::ptr::eq(primary, node));
            members.push(Member {
                address: Address::Tcp(host(string(node, "endpoint"), string(node, "ip"), asked), port),
                id: string(node, "id"),
                role: Some(if is(node, "role", "master") { Role::Primary } else { Role::Replica }),
                shard: name.clone(),
                serves: is_primary && !slots.is_empty(),
                slots: Some(if is_primary { slots.clone() } else { Vec::new() }),
            });
        }
    }
    Some(members)
}

/// CLUSTER NODES.
pub(crate) fn cluster_nodes(text: &str, asked: &str) -> Vec<Member> {
    text.lines().filter_map(|line| cluster_node(line, asked)).collect()
}

fn cluster_node(line: &str, asked: &str) -> Option<Member> {
    let mut words = line.split_whitespace();
    let (id, address, flags, master) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let flag = |name| flags.split(',').any(|flag| flag == name);
    if flag("noaddr") || flag("handshake") {
        return None;
    }
    let mut names = address.split(',');
    let (ip, port) = names.next()?.split('@').next()?.rsplit_once(':')?;
    let announced = names.next().filter(|name| !name.is_empty() && !name.contains('=')).map(str::to_owned);
    let is_primary = flag("master");
    let ranges = words.skip(4).filter(|range| !range.starts_with('['));
    let slots: Vec<_> = ranges
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some((first.parse().ok()?, last.parse().ok()?))
        })
        .collect();
    Some(Member {
        address: Address::Tcp(host(announced, Some(ip.to_owned()), asked), port.parse().ok()?),
        id: Some(id.to_owned()),
        role: Some(if is_primary { Role::Primary } else { Role::Replica }),
        shard: Some(if is_primary { id } else { master }.to_owned()),
        serves: is_primary && !slots.is_empty(),
        slots: Some(slots),
    })
}

/// A host, by what the node calls itself.
fn host(announced: Option<String>, ip: Option<String>, asked: &str) -> String {
    let known = |name: &String| !name.is_empty() && name != "?";
    announced.filter(known).or(ip).filter(known).unwrap_or_else(|| asked.to_owned())
}

/// One entry of SENTINEL MASTERS, REPLICAS or SENTINELS.
pub(crate) fn sentinel_member(value: &Value, role: Role, shard: Option<&str>) -> Option<Member> {
    let address = Address::Tcp(string(value, "ip")?, get(value, "port").and_then(number)?);
    Some(Member {
        address,
        // The run id of a data server is its process; among sentinels it is the sentinel's lasting id.
        id: if role == Role::Sentinel { string(value, "runid").filter(|id| !id.is_empty()) } else { None },
        role: Some(role),
        shard: shard.map(str::to_owned),
        serves: role == Role::Primary,
        slots: None,
    })
}

/// The name of an entry of SENTINEL MASTERS.
pub(crate) fn sentinel_name(value: &Value) -> Option<String> {
    string(value, "name")
}

/// INFO replication of the node at `address`: itself, and the nodes that it speaks of.
pub(crate) fn replication(info: &Info<'_>, address: &Address) -> (Member, Vec<Address>) {
    let mut others = Vec::new();
    let role = match info.text("role") {
        Some("master") => Some(Role::Primary),
        Some("slave") => Some(Role::Replica),
        _ => None,
    };
    if let (Some(Role::Replica), Some(host), Some(port)) =
        (role, info.text("master_host"), info.text("master_port"))
    {
        others.extend(port.parse().ok().map(|port| Address::Tcp(host.to_owned(), port)));
    }
    for (_, line) in info.with_prefix("slave").filter(|(n, _)| n.bytes().all(|b| b.is_ascii_digit())) {
        if let (Some(host), Some(port)) = (line.member("ip"), line.member("port")) {
            others.extend(port.parse().ok().map(|port| Address::Tcp(host.to_owned(), port)));
        }
    }
    let serves = role == Some(Role::Primary);
    (Member { address: address.clone(), id: None, role, shard: None, serves, slots: None }, others)
}

fn string(value: &Value, key: &str) -> Option<String> {
    get(value, key).and_then(bytes).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn is(value: &Value, key: &str, text: &str) -> bool {
    // `health` is `fail` in some versions and `failed` in others.
    get(value, key)
        .and_then(bytes)
        .is_some_and(|bytes| bytes == text.as_bytes() || (text == "failed" && bytes == b"fail"))
}

fn number(value: &Value) -> Option<u16> {
    count(value).and_then(|number| number.try_into().ok())
}

/// The slot of a key: CRC16 of it, or of what stands between the first `{` and the `}` after it.
pub fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    let mut crc = 0u16;
    for byte in tag.unwrap_or(key) {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc % 16384
}

#[cfg(test)]
mod tests;

//! CLIENT LIST.

/// One client, of which only what can be added up is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientLine<'a> {
    /// Its id; they rise as clients come.
    pub id: u64,
    /// ACL user; empty where the server does not tell.
    pub user: &'a str,
    /// What CLIENT SETNAME said.
    pub name: &'a str,
    /// Client library, since 7.2; empty where it is not told.
    pub library: &'a str,
    /// Seconds since it connected.
    pub age: u64,
    /// Seconds since its last command.
    pub idle: u64,
    /// Bytes that it takes, `tot-mem`.
    pub memory: u64,
    /// Bytes that wait to be sent to it, `omem`.
    pub output: u64,
}

impl<'a> ClientLine<'a> {
    /// Reads the lines of an answer; one without an id is passed over.
    pub fn parse(text: &'a str) -> impl Iterator<Item = ClientLine<'a>> {
        text.lines().filter_map(|line| {
            let mut client = ClientLine::default();
            for (key, value) in line.split(' ').filter_map(|pair| pair.split_once('=')) {
                let number = || value.parse().unwrap_or(0);
                match key {
                    "id" => client.id = number(),
                    "user" => client.user = value,
                    "name" => client.name = value,
                    "lib-name" => client.library = value,
                    "age" => client.age = number(),
                    "idle" => client.idle = number(),
                    "tot-mem" => client.memory = number(),
                    "omem" => client.output = number(),
                    _ => {}
                }
            }
            (client.id != 0).then_some(client)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_version_are_read_and_a_broken_one_costs_no_other() {
        let text = "id=3 addr=127.0.0.1:1 name=web age=7 idle=2 flags=N omem=9 tot-mem=22298 user=app lib-name=redis-py\n\
                    nonsense\nid= name=x\nid=4 addr=[::1]:2 name= age=1 idle=0 newer-field=1=2\n";
        let clients: Vec<_> = ClientLine::parse(text).collect();
        let web = ClientLine {
            id: 3,
            user: "app",
            name: "web",
            library: "redis-py",
            age: 7,
            idle: 2,
            memory: 22298,
            output: 9,
        };
        assert_eq!(clients, [web, ClientLine { id: 4, age: 1, ..ClientLine::default() }]);
    }
}

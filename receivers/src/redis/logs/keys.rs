//! Which arguments of a command are keys. Of a command that is not in the table none is taken for one.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Where the keys are, by position; the command itself is 0.
#[derive(Clone, Copy)]
enum At {
    /// From, to (negative: so many from the end, -1 the last), and in steps.
    Range(usize, isize, usize),
    /// As many as the argument at the first position says, behind it; and at the second, if that is not 0, a key besides.
    Counted(usize, usize),
    /// The first half of what stands behind STREAMS.
    Streams,
}

const TABLE: [(At, &str); 13] = [
    (
        At::Range(1, 1, 1),
        "APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS DECR DECRBY DUMP EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST GEOHASH \
         GEOPOS GEORADIUS GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET GETBIT GETDEL GETEX GETRANGE \
         GETSET HDEL HEXISTS HEXPIRE HEXPIREAT HEXPIRETIME HGET HGETALL HGETDEL HGETEX HINCRBY HINCRBYFLOAT HKEYS HLEN \
         HMGET HMSET HPERSIST HPEXPIRE HPEXPIREAT HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL \
         HVALS INCR INCRBY INCRBYFLOAT LINDEX LINSERT LLEN LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MOVE PERSIST \
         PEXPIRE PEXPIREAT PEXPIRETIME PFADD PSETEX PTTL RESTORE RPOP RPUSH RPUSHX SADD SCARD SET SETBIT SETEX SETNX \
         SETRANGE SISMEMBER SMEMBERS SMISMEMBER SORT SORT_RO SPOP SRANDMEMBER SREM SSCAN STRLEN SUBSTR TTL TYPE XACK \
         XACKDEL XADD XAUTOCLAIM XCLAIM XDEL XDELEX XLEN XPENDING XRANGE XREVRANGE XSETID XTRIM ZADD ZCARD ZCOUNT \
         ZINCRBY ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREM \
         ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE",
    ),
    (
        At::Range(1, 2, 1),
        "BLMOVE BRPOPLPUSH COPY GEOSEARCHSTORE LCS LMOVE RENAME RENAMENX RPOPLPUSH SMOVE ZRANGESTORE",
    ),
    (
        At::Range(1, -1, 1),
        "DEL EXISTS MGET PFCOUNT PFMERGE SDIFF SDIFFSTORE SINTER SINTERSTORE SUNION SUNIONSTORE TOUCH UNLINK WATCH",
    ),
    (At::Range(1, -2, 1), "BLPOP BRPOP BZPOPMAX BZPOPMIN"),
    (At::Range(1, -1, 2), "MSET MSETNX"),
    (At::Range(2, 2, 1), "XGROUP XINFO OBJECT MEMORY PFDEBUG"),
    (At::Range(2, -1, 1), "BITOP"),
    (At::Range(3, 3, 1), "MIGRATE"),
    (At::Counted(1, 0), "LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION"),
    (At::Counted(2, 0), "BLMPOP BZMPOP EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO"),
    (At::Counted(2, 1), "ZDIFFSTORE ZINTERSTORE ZUNIONSTORE"),
    (At::Streams, "XREAD XREADGROUP"),
    // Nothing in them is a key.
    (
        At::Range(0, 0, 1),
        "AUTH BGREWRITEAOF BGSAVE DBSIZE DISCARD ECHO EXEC FAILOVER FLUSHALL FLUSHDB HELLO INFO KEYS LASTSAVE LOLWUT \
         MONITOR MULTI PING PSUBSCRIBE PSYNC PUBLISH PUNSUBSCRIBE QUIT RANDOMKEY REPLCONF REPLICAOF RESET ROLE SAVE SCAN \
         SELECT SHUTDOWN SLAVEOF SPUBLISH SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE SWAPDB SYNC TIME UNSUBSCRIBE UNWATCH WAIT \
         WAITAOF",
    ),
];

/// Commands whose first argument says what they do.
const CONTAINERS: &str = "ACL CLIENT CLUSTER COMMAND COMMANDLOG CONFIG DEBUG FUNCTION HOTKEYS LATENCY MEMORY MODULE OBJECT \
                          PFDEBUG PUBSUB SCRIPT SENTINEL SLOWLOG XGROUP XINFO";

static KNOWN: LazyLock<HashMap<&'static str, At>> = LazyLock::new(|| {
    TABLE.iter().flat_map(|(at, names)| names.split_whitespace().map(|name| (name, *at))).collect()
});

/// Whether the first argument of the command says what it does.
pub(super) fn has_subcommand(command: &str) -> bool {
    CONTAINERS.split_whitespace().any(|container| container == command)
}

/// For each argument, the command's name included, whether it is a key. `left_out` are arguments that are not there.
pub(super) fn keys(command: &str, arguments: &[Vec<u8>], left_out: u64) -> Vec<bool> {
    let mut is_key = vec![false; arguments.len()];
    let all = arguments.len().saturating_add(usize::try_from(left_out).unwrap_or(usize::MAX));
    let mut mark = |positions: &mut dyn Iterator<Item = usize>| {
        for position in positions.take_while(|position| *position < arguments.len()) {
            is_key[position] = position > 0;
        }
    };
    let number = |at: usize| std::str::from_utf8(arguments.get(at)?).ok()?.parse::<usize>().ok();
    match KNOWN.get(command).copied() {
        None | Some(At::Range(0, ..)) => {}
        Some(At::Range(first, last, step)) => {
            let last = match usize::try_from(last) {
                Ok(last) => last,
                Err(_) => all.saturating_sub(last.unsigned_abs()),
            };
            mark(&mut (first..=last).step_by(step));
        }
        Some(At::Counted(count, besides)) => {
            let keys = number(count).unwrap_or(0);
            mark(&mut (count + 1..(count + 1).saturating_add(keys)));
            mark(&mut std::iter::once(besides).filter(|besides| *besides > 0));
        }
        Some(At::Streams) => {
            if let Some(word) = arguments.iter().position(|word| word.eq_ignore_ascii_case(b"STREAMS")) {
                let streams = all.saturating_sub(word + 1) / 2;
                mark(&mut (word + 1..(word + 1).saturating_add(streams)));
            }
        }
    }
    is_key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(text: &str, left_out: u64) -> Vec<String> {
        let arguments: Vec<_> = text.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let is_key = keys(text.split(' ').next().unwrap(), &arguments, left_out);
        text.split(' ').zip(is_key).filter(|(_, is_key)| *is_key).map(|(word, _)| word.to_owned()).collect()
    }

    #[test]
    fn keys_are_found_where_each_command_has_them() {
        for (text, left_out, wanted) in [
            ("GET a", 0, vec!["a"]),
            ("SET a v EX 5", 0, vec!["a"]),
            ("MGET a b c", 0, vec!["a", "b", "c"]),
            ("MSET a v b w", 0, vec!["a", "b"]),
            ("BLPOP a b 0", 0, vec!["a", "b"]),
            ("BLPOP a b c", 4, vec!["a", "b", "c"]),
            ("EVAL text 2 a b v", 0, vec!["a", "b"]),
            ("EVAL text x a b v", 0, vec![]),
            ("EVAL text 99999999999999999999 a", 0, vec![]),
            ("EVAL text 18446744073709551615 a", 0, vec!["a"]),
            ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", 0, vec!["a", "b", "d"]),
            ("XREADGROUP GROUP g c COUNT 5 STREAMS a b > >", 0, vec!["a", "b"]),
            ("XREADGROUP GROUP g c STREAMS a b c", 3, vec!["a", "b", "c"]),
            ("XREAD COUNT 5", 0, vec![]),
            ("XINFO STREAM a FULL", 0, vec!["a"]),
            ("CONFIG SET requirepass secret", 0, vec![]),
            ("PING v", 0, vec![]),
            ("JSON.SET a $ v", 0, vec![]),
            ("DEL", 0, vec![]),
        ] {
            let mut found = keys_of(text, left_out);
            found.sort();
            assert_eq!(found, wanted, "{text}");
        }
    }
}

//! What a command does: its operation, and the keys that it touches.
//!
//! Keys are data, often secret and without number, so only the part that names a kind of thing is kept: `user:17:cart` is
//! `user:*`, `session_8f3a` is `session_*`.

use std::collections::HashMap;
use std::sync::LazyLock;

use bstr::BStr;
use bumpalo::Bump;
use bumpalo::collections::Vec as Slots;
use foldhash::fast::FixedState;

use super::quoted::plain;
use crate::event::Operation;
use crate::framing::seek::Seek;

/// Where among its arguments (the command's name not counted) a command has its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// None, and it acts on nothing.
    Not,
    /// None: drivers and shells send it by themselves.
    Noise,
    /// None: it concerns all keys.
    Everything,
    First,
    Second,
    FirstTwo,
    All,
    AllButLast,
    AllButFirst,
    /// Every second one: `MSET key value key value`.
    Pairs,
    /// Their number stands at this place, and they follow it.
    Counted(usize),
    /// The first is one, and others are counted at the second place: `ZUNIONSTORE to 2 a b`.
    FirstAndCounted,
    /// The first half of what follows the word STREAMS.
    Streams,
    /// A pattern of keys.
    Pattern,
    /// A pattern of keys behind the word MATCH.
    Match,
}

/// The commands in alphabetical order. `a|b` is a command with its first argument.
#[rustfmt::skip]
const COMMANDS: &[(&str, Operation, Keys)] = {
    use Keys::{All, AllButFirst, AllButLast, Counted, Everything, First, FirstAndCounted, FirstTwo, Match, Noise, Not, Pairs, Pattern, Second, Streams};
    use Operation::*;
    &[
        ("acl", Show, Not), ("acl|deluser", Drop, Not), ("acl|load", Alter, Not), ("acl|save", Other, Not), ("acl|setuser", Grant, Not),
        ("append", Update, First), ("asking", Other, Noise), ("auth", Connect, Noise), ("bgrewriteaof", Other, Not),
        ("bgsave", Other, Not), ("bitcount", Select, First), ("bitfield", Update, First), ("bitfield_ro", Select, First),
        ("bitop", Update, AllButFirst), ("bitpos", Select, First), ("blmove", Update, FirstTwo), ("blmpop", Delete, Counted(1)),
        ("blpop", Delete, AllButLast), ("brpop", Delete, AllButLast), ("brpoplpush", Update, FirstTwo), ("bzmpop", Delete, Counted(1)),
        ("bzpopmax", Delete, AllButLast), ("bzpopmin", Delete, AllButLast), ("client", Other, Noise), ("client|kill", Other, Not),
        ("client|list", Show, Not), ("client|pause", Other, Not), ("cluster", Show, Noise), ("command", Show, Noise),
        ("config", Show, Not), ("config|get", Show, Not), ("config|resetstat", Other, Not), ("config|rewrite", Set, Not),
        ("config|set", Set, Not), ("copy", Copy, FirstTwo), ("dbsize", Show, Not), ("debug", Other, Not), ("decr", Update, First),
        ("decrby", Update, First), ("del", Delete, All), ("discard", Rollback, Not), ("dump", Select, First), ("echo", Other, Noise),
        ("eval", Call, Counted(1)), ("eval_ro", Call, Counted(1)), ("evalsha", Call, Counted(1)), ("evalsha_ro", Call, Counted(1)),
        ("exec", Commit, Not), ("exists", Select, All), ("expire", Update, First), ("expireat", Update, First), ("expiretime", Select, First),
        ("failover", Alter, Not), ("fcall", Call, Counted(1)), ("fcall_ro", Call, Counted(1)), ("flushall", Truncate, Everything),
        ("flushdb", Truncate, Everything), ("function", Show, Not), ("function|delete", Drop, Not), ("function|flush", Drop, Not),
        ("function|load", Create, Not), ("function|restore", Create, Not), ("geoadd", Insert, First), ("geodist", Select, First),
        ("geohash", Select, First), ("geopos", Select, First), ("georadius", Select, First), ("georadius_ro", Select, First),
        ("georadiusbymember", Select, First), ("georadiusbymember_ro", Select, First), ("geosearch", Select, First),
        ("geosearchstore", Update, FirstTwo), ("get", Select, First), ("getbit", Select, First), ("getdel", Delete, First),
        ("getex", Select, First), ("getrange", Select, First), ("getset", Update, First), ("hdel", Delete, First), ("hello", Connect, Noise),
        ("hexists", Select, First), ("hexpire", Update, First), ("hget", Select, First), ("hgetall", Select, First), ("hgetdel", Delete, First),
        ("hgetex", Select, First), ("hincrby", Update, First), ("hincrbyfloat", Update, First), ("hkeys", Select, First), ("hlen", Select, First),
        ("hmget", Select, First), ("hmset", Update, First), ("hpersist", Update, First), ("hpexpire", Update, First),
        ("hrandfield", Select, First), ("hscan", Select, First), ("hset", Update, First), ("hsetex", Update, First), ("hsetnx", Insert, First),
        ("hstrlen", Select, First), ("httl", Select, First), ("hvals", Select, First), ("incr", Update, First), ("incrby", Update, First),
        ("incrbyfloat", Update, First), ("info", Show, Noise), ("keys", Select, Pattern), ("lastsave", Show, Noise), ("latency", Show, Not),
        ("lcs", Select, FirstTwo), ("lindex", Select, First), ("linsert", Insert, First), ("llen", Select, First), ("lmove", Update, FirstTwo),
        ("lmpop", Delete, Counted(0)), ("lolwut", Other, Noise), ("lpop", Delete, First), ("lpos", Select, First), ("lpush", Insert, First),
        ("lpushx", Insert, First), ("lrange", Select, First), ("lrem", Delete, First), ("lset", Update, First), ("ltrim", Delete, First),
        ("memory", Show, Not), ("memory|usage", Select, Second), ("mget", Select, All), ("migrate", Copy, Everything), ("module", Show, Not),
        ("module|load", Create, Not), ("module|loadex", Create, Not), ("module|unload", Drop, Not), ("monitor", Select, Everything),
        ("move", Alter, First), ("mset", Update, Pairs), ("msetnx", Insert, Pairs), ("multi", Begin, Not), ("object", Select, Second),
        ("persist", Update, First), ("pexpire", Update, First), ("pexpireat", Update, First), ("pexpiretime", Select, First),
        ("pfadd", Insert, First), ("pfcount", Select, All), ("pfmerge", Update, All), ("ping", Other, Noise), ("psetex", Update, First),
        ("psubscribe", Select, All), ("psync", Copy, Everything), ("pttl", Select, First), ("publish", Insert, First), ("pubsub", Show, Not),
        ("punsubscribe", Other, Noise), ("quit", Other, Noise), ("randomkey", Select, Everything), ("readonly", Other, Noise),
        ("readwrite", Other, Noise), ("rename", Alter, FirstTwo), ("renamenx", Alter, FirstTwo), ("replconf", Other, Noise),
        ("replicaof", Alter, Not), ("reset", Other, Noise), ("restore", Update, First), ("role", Show, Noise), ("rpop", Delete, First),
        ("rpoplpush", Update, FirstTwo), ("rpush", Insert, First), ("rpushx", Insert, First), ("sadd", Insert, First), ("save", Other, Not),
        ("scan", Select, Match), ("scard", Select, First), ("script", Other, Not), ("script|load", Create, Not), ("sdiff", Select, All),
        ("sdiffstore", Update, All), ("select", Other, Noise), ("set", Update, First), ("setbit", Update, First), ("setex", Update, First),
        ("setnx", Insert, First), ("setrange", Update, First), ("shutdown", Other, Not), ("sinter", Select, All), ("sintercard", Select, Counted(0)),
        ("sinterstore", Update, All), ("sismember", Select, First), ("slaveof", Alter, Not), ("slowlog", Show, Not), ("smembers", Select, First),
        ("smismember", Select, First), ("smove", Update, FirstTwo), ("sort", Select, First), ("sort_ro", Select, First), ("spop", Delete, First),
        ("spublish", Insert, First), ("srandmember", Select, First), ("srem", Delete, First), ("sscan", Select, First), ("ssubscribe", Select, All),
        ("strlen", Select, First), ("subscribe", Select, All), ("substr", Select, First), ("sunion", Select, All), ("sunionstore", Update, All),
        ("sunsubscribe", Other, Noise), ("swapdb", Alter, Everything), ("sync", Copy, Everything), ("time", Show, Noise), ("touch", Update, All),
        ("ttl", Select, First), ("type", Select, First), ("unlink", Delete, All), ("unsubscribe", Other, Noise), ("unwatch", Other, Noise),
        ("wait", Other, Noise), ("waitaof", Other, Noise), ("watch", Other, All), ("xack", Update, First), ("xadd", Insert, First),
        ("xautoclaim", Update, First), ("xclaim", Update, First), ("xdel", Delete, First), ("xgroup", Alter, Second), ("xinfo", Select, Second),
        ("xlen", Select, First), ("xpending", Select, First), ("xrange", Select, First), ("xread", Select, Streams), ("xreadgroup", Select, Streams),
        ("xrevrange", Select, First), ("xsetid", Alter, First), ("xtrim", Delete, First), ("zadd", Insert, First), ("zcard", Select, First),
        ("zcount", Select, First), ("zdiff", Select, Counted(0)), ("zdiffstore", Update, FirstAndCounted), ("zincrby", Update, First),
        ("zinter", Select, Counted(0)), ("zintercard", Select, Counted(0)), ("zinterstore", Update, FirstAndCounted),
        ("zlexcount", Select, First), ("zmpop", Delete, Counted(0)), ("zmscore", Select, First), ("zpopmax", Delete, First), ("zpopmin", Delete, First),
        ("zrandmember", Select, First), ("zrange", Select, First), ("zrangebylex", Select, First), ("zrangebyscore", Select, First),
        ("zrangestore", Update, FirstTwo), ("zrank", Select, First), ("zrem", Delete, First), ("zremrangebylex", Delete, First),
        ("zremrangebyrank", Delete, First), ("zremrangebyscore", Delete, First), ("zrevrange", Select, First), ("zrevrangebylex", Select, First),
        ("zrevrangebyscore", Select, First), ("zrevrank", Select, First), ("zscan", Select, First), ("zscore", Select, First),
        ("zunion", Select, Counted(0)), ("zunionstore", Update, FirstAndCounted),
    ]
};

static BY_NAME: LazyLock<HashMap<&'static [u8], (Operation, Keys), FixedState>> =
    LazyLock::new(|| COMMANDS.iter().map(|(name, operation, keys)| (name.as_bytes(), (*operation, *keys))).collect());

type Lower = smallvec::SmallVec<[u8; 32]>;

/// Longest name of a command; longer ones are nobody's.
const NAME: usize = 48;

/// What is known of a command, by its name and its first argument; modules' commands (`JSON.GET`) by their words.
pub fn find(name: &[u8], sub: &[u8]) -> (Operation, Keys) {
    let mut key = Lower::from_slice(name.get(..NAME).unwrap_or(name));
    key.make_ascii_lowercase();
    let lookup = |key: &[u8]| BY_NAME.get(key).copied();
    let plain = lookup(&key);
    if !sub.is_empty() && sub.len() <= NAME && plain.is_none_or(|(_, keys)| matches!(keys, Keys::Not | Keys::Noise)) {
        key.push(b'|');
        key.extend(sub.iter().map(u8::to_ascii_lowercase));
        if let Some(found) = lookup(&key) {
            return found;
        }
        key.truncate(name.len().min(NAME));
    }
    plain.unwrap_or_else(|| module(&key))
}

fn module(name: &[u8]) -> (Operation, Keys) {
    let Some((_, word)) = name.part_last(".") else { return (Operation::Other, Keys::First) };
    let ends = |words: &[&str]| words.iter().any(|w| word.ends_with(w.as_bytes()) || word.starts_with(w.as_bytes()));
    let operation = match () {
        () if ends(&["get", "search", "range", "info", "exists", "query", "list", "len", "type", "aggregate", "explain", "profile"]) => {
            Operation::Select
        }
        () if ends(&["del", "clear", "drop", "trim", "pop"]) => Operation::Delete,
        () if ends(&["create", "reserve", "init"]) => Operation::Create,
        () if ends(&["add", "insert", "append"]) => Operation::Insert,
        () if ends(&["set", "incr", "decr", "merge", "toggle", "alter"]) => Operation::Update,
        () => Operation::Other,
    };
    (operation, Keys::First)
}

/// Objects named by one command, at most.
const OBJECTS: usize = 16;

/// The kinds of keys that a command touches, each once. `arguments` are still escaped, without the command's name.
pub fn objects<'a>(keys: Keys, arguments: impl Iterator<Item = &'a [u8]> + Clone, arena: &'a Bump) -> &'a [&'a BStr] {
    /// Arguments looked at: commands may have a million of them.
    const LOOKED_AT: usize = 4_096;
    let mut found = Slots::new_in(arena);
    let mut put = |key: &'a [u8]| {
        let kind = kind_of(plain(key, arena), arena);
        if found.len() < OBJECTS && !found.contains(&kind) {
            found.push(kind);
        }
    };
    let all = arguments.clone().take(LOOKED_AT);
    let counted = |at: usize| all.clone().nth(at).and_then(|n| std::str::from_utf8(n).ok()?.parse::<usize>().ok()).unwrap_or(0);
    match keys {
        Keys::Not | Keys::Noise => {}
        Keys::Everything => put(b"*"),
        Keys::First => all.take(1).for_each(put),
        Keys::Second => all.skip(1).take(1).for_each(put),
        Keys::FirstTwo => all.take(2).for_each(put),
        Keys::All => all.for_each(put),
        Keys::AllButLast => {
            let mut all = all.peekable();
            while let Some(key) = all.next() {
                if all.peek().is_some() {
                    put(key);
                }
            }
        }
        Keys::AllButFirst => all.skip(1).for_each(put),
        Keys::Pairs => all.step_by(2).for_each(put),
        Keys::Counted(at) => all.clone().skip(at + 1).take(counted(at)).for_each(put),
        Keys::FirstAndCounted => {
            all.clone().take(1).chain(all.clone().skip(2).take(counted(1))).for_each(put);
        }
        Keys::Streams => {
            let names = all.skip_while(|word| !word.eq_ignore_ascii_case(b"streams")).skip(1);
            let half = names.clone().count() / 2;
            names.take(half).for_each(put);
        }
        Keys::Pattern => all.take(1).for_each(put),
        Keys::Match => match all.skip_while(|word| !word.eq_ignore_ascii_case(b"match")).nth(1) {
            Some(pattern) => put(pattern),
            None => put(b"*"),
        },
    }
    found.into_bump_slice()
}

/// The kind of one key.
pub fn kinds<'a>(key: &'a [u8], arena: &'a Bump) -> &'a [&'a BStr] {
    arena.alloc_slice_copy(&[kind_of(key, arena)])
}

/// The kind of thing that a key (or a pattern of keys) names.
fn kind_of<'a>(key: &'a [u8], arena: &'a Bump) -> &'a BStr {
    /// Longest name of a kind.
    const LONGEST: usize = 64;
    let with_star = |prefix: &[u8]| {
        let mut kind = Slots::with_capacity_in(prefix.len() + 1, arena);
        kind.extend_from_slice_copy(prefix);
        kind.push(b'*');
        BStr::new(kind.into_bump_slice() as &[u8])
    };
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'@' | b'#' | b'$') || *byte >= 0x80;
    if let Some((prefix, _)) = key.part(":")
        && prefix.len() <= LONGEST
        && prefix.iter().all(name)
        && !prefix.iter().all(u8::is_ascii_digit)
    {
        return with_star(key.get(..=prefix.len()).unwrap_or_default());
    }
    let word = key.iter().take_while(|b| name(b) && !b.is_ascii_digit()).count();
    if word == key.len() && word <= LONGEST && word > 0 {
        BStr::new(key)
    } else {
        with_star(key.get(..word.min(LONGEST)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::redis::quoted::Arguments;

    #[test]
    fn commands_are_in_order() {
        assert!(COMMANDS.is_sorted_by_key(|(name, _, _)| *name));
        for (name, operation, keys) in COMMANDS {
            let (name, sub) = name.split_once('|').unwrap_or((name, ""));
            assert_eq!(find(name.to_ascii_uppercase().as_bytes(), sub.as_bytes()), (*operation, *keys), "{name} {sub}");
        }
    }

    fn check(line: &str, want: &str) {
        let arena = Bump::new();
        let quoted: Vec<String> = line.split(' ').map(|word| format!("\"{word}\"")).collect();
        let quoted = quoted.join(" ");
        let text: &[u8] = arena.alloc_str(&quoted).as_bytes();
        let mut arguments = Arguments { rest: text };
        let name = arguments.next().unwrap();
        let (operation, keys) = find(name, arguments.clone().next().unwrap_or_default());
        let objects: Vec<String> = objects(keys, arguments, &arena).iter().map(|o| o.to_string()).collect();
        assert_eq!(format!("{operation} {}", objects.join(" ")).trim_end(), want, "{line}");
    }

    #[test]
    fn acts() {
        check("GET app:302", "select app:*");
        check("set x 6", "update x");
        check("MGET a:1 a:2 b:1", "select a:* b:*");
        check("MSET a:1 v:1 b:2 v:2", "update a:* b:*");
        check("BLPOP q:a q:b jobs 0", "delete q:* jobs");
        check("EVAL return 2 a:1 b:1 c:1", "call a:* b:*");
        check("ZUNIONSTORE to:1 2 a:1 b:1 WEIGHTS 1 2", "update to:* a:* b:*");
        check("XREADGROUP GROUP g c COUNT 1 STREAMS s:1 t:1 > >", "select s:* t:*");
        check("SCAN 0 MATCH user:* COUNT 10", "select user:*");
        check("SCAN 0", "select *");
        check("KEYS *", "select *");
        check("FLUSHALL", "truncate *");
        check("CONFIG SET maxmemory 1", "set");
        check("CONFIG GET maxmemory", "show");
        check("ACL SETUSER bob on", "grant");
        check("CLIENT SETNAME x", "other");
        check("OBJECT ENCODING a:1", "select a:*");
        check("JSON.GET doc:1 $", "select doc:*");
        check("FT.SEARCH idx foo", "select idx");
        check("BITOP AND to:1 a:1", "update to:* a:*");
        check("NONESUCH key:1", "other key:*");
        check("GET", "select");
        check("EVAL x 99999999999999999999 a:1", "call");
    }

    #[test]
    fn kinds() {
        let arena = Bump::new();
        for (key, want) in [
            ("user:17:cart", "user:*"),
            ("counter", "counter"),
            ("session_8f3a", "session_*"),
            ("8f3a", "*"),
            ("123:x", "*"),
            ("{user1}.x", "*"),
            ("", "*"),
            ("user:", "user:*"),
            ("a b:c", "a*"),
            ("*", "*"),
            ("caf\u{e9}", "caf\u{e9}"),
        ] {
            assert_eq!(kind_of(key.as_bytes(), &arena), want, "{key}");
        }
        let long = "x".repeat(1_000);
        assert_eq!(kind_of(long.as_bytes(), &arena).len(), 65);
    }
}

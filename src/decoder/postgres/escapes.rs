//! The text of a `log_line_prefix` taken apart: literal text and escapes `%[-][width]letter` (PostgreSQL documentation, "What to Log").

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while, take_while1};
use nom::combinator::{map, map_opt, value};
use nom::multi::many0;
use nom::sequence::{pair, preceded};
use nom::{IResult, Parser};

/// One part of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    Text(&'a [u8]),
    /// `%%`
    Percent,
    /// `%q`: processes without a session print nothing from here on.
    Stop,
    /// `%u`, `%-10u`.
    Escape {
        letter: u8,
        padded: bool,
    },
}

/// All parts, in order. A lone `%` at the end prints nothing, as in the server.
pub fn items(prefix: &[u8]) -> Vec<Item<'_>> {
    let all: IResult<&[u8], Vec<Item<'_>>> = many0(alt((text, escape))).parse(prefix);
    all.map(|(_, items)| items).unwrap_or_default()
}

fn text(input: &[u8]) -> IResult<&[u8], Item<'_>> {
    map(take_while1(|b| b != b'%'), Item::Text).parse(input)
}

fn escape(input: &[u8]) -> IResult<&[u8], Item<'_>> {
    let width = map(take_while(|b: u8| b == b'-' || b.is_ascii_digit()), |width: &[u8]| !width.is_empty());
    let letter = alt((
        value(Item::Percent, tag(&b"%"[..])),
        value(Item::Stop, tag(&b"q"[..])),
        map_opt(take(1usize), |one: &[u8]| one.first().map(|letter| Item::Escape { letter: *letter, padded: false })),
    ));
    map(preceded(tag(&b"%"[..]), pair(width, letter)), |(padded, item)| match item {
        Item::Escape { letter, .. } => Item::Escape { letter, padded },
        other => other,
    })
    .parse(input)
}

#[cfg(test)]
mod tests {
    use super::Item::{Escape, Percent, Stop, Text};
    use super::items;

    #[test]
    fn parts() {
        let plain = |letter| Escape { letter, padded: false };
        assert_eq!(items(b"%m [%p] "), [plain(b'm'), Text(b" ["), plain(b'p'), Text(b"] ")]);
        assert_eq!(items(b"%q%-10u@%5d"), [Stop, Escape { letter: b'u', padded: true }, Text(b"@"), Escape { letter: b'd', padded: true }]);
        assert_eq!(items(b"100%% %"), [Text(b"100"), Percent, Text(b" ")]);
        assert_eq!(items(b"%-3"), []);
        assert_eq!(items(b""), []);
    }
}

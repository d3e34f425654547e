//! The skeleton of a shape: what is left of a statement when its names are taken out, too. Programs that build their statements send
//! many shapes and few skeletons.

use super::words::is_reserved;

/// `select a, b from t where c = ?` becomes `select _ from _ where _ = ?`. Lists of names count as one name.
pub(super) fn skeleton(shape: &str) -> String {
    let mut out = String::with_capacity(shape.len() / 2);
    let mut rest = shape;
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '`' => quoted(rest, first),
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.' || c == '$')).unwrap_or(rest.len());
                rest.split_at_checked(end).unwrap_or((rest, ""))
            }
            _ => {
                if !(first == ' ' && out.ends_with(' ')) {
                    out.push(first);
                }
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
                continue;
            }
        };
        if is_reserved(word) {
            out.push_str(word);
        } else if out.ends_with("_, ") {
            out.truncate(out.len().saturating_sub(2));
        } else {
            out.push('_');
        }
        rest = after;
    }
    out
}

fn quoted(text: &str, quote: char) -> (&str, &str) {
    let end = text.char_indices().skip(1).find(|(_, c)| *c == quote).map_or(text.len(), |(at, _)| at + quote.len_utf8());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::skeleton;

    #[test]
    fn names_are_taken_out() {
        for (shape, want) in [
            ("select a, b from t where c = ?", "select _ from _ where _ = ?"),
            ("select a from s.t where c = ?", "select _ from _ where _ = ?"),
            ("select count(*) from \"My Table\" where x is not null", "select _(*) from _ where _ is not _"),
            ("insert into t (a, b, c) values (?+)", "insert into _ (_) values (?+)"),
            ("", ""),
            ("\"open", "_"),
        ] {
            assert_eq!(skeleton(shape), want, "{shape}");
        }
    }
}

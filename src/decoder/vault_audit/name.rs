//! What a Vault token is called.
//!
//! | `auth` | name |
//! |---|---|
//! | the auth method names somebody (`oidc-ann`, `userpass-ann`, `kubernetes-prod-web`) | the display name |
//! | a role logged in (AppRole) | with the role, `approle/ci` |
//! | the display name is only the method's (`cert`) | with the entity, `cert:7d2e...` |
//! | another token made it (`token-NAME`, `token`) | with its policies, which its maker could not choose beyond his own: `token-deploy[app,ci]` |
//! | no display name | `entity:7d2e...` |
//!
//! Parts of a display name that are UUIDs (a job's or an allocation's, new every time) are written `*`.

use bstr::BStr;
use bumpalo::Bump;
use bumpalo::collections::Vec;

pub(super) fn of<'a>(
    display: Option<&'a BStr>,
    entity: Option<&'a BStr>,
    role: Option<&'a BStr>,
    policies: &[&'a BStr],
    arena: &'a Bump,
) -> Option<&'a BStr> {
    let mut name = Vec::new_in(arena);
    match (display, entity) {
        (None, None) => return None,
        (None, Some(entity)) => {
            name.extend_from_slice(b"entity:");
            name.extend_from_slice(entity);
        }
        (Some(display), _) if display == "token" || display.starts_with(b"token-") => {
            stable(display, &mut name);
            let mut listed: Vec<'_, &BStr> = Vec::from_iter_in(policies.iter().copied().filter(|policy| *policy != "default"), arena);
            listed.sort_unstable();
            name.push(b'[');
            name.extend_from_slice(&bstr::join(",", listed.iter()));
            name.push(b']');
        }
        (Some(display), entity) => {
            stable(display, &mut name);
            let (mark, more) = match (role, entity) {
                (Some(role), _) => (b'/', role),
                (None, Some(entity)) if display != "root" && !display.contains(&b'-') => (b':', entity),
                _ => return Some(BStr::new(name.into_bump_slice())),
            };
            name.push(mark);
            name.extend_from_slice(more);
        }
    }
    Some(BStr::new(name.into_bump_slice()))
}

/// The text with `*` for UUIDs.
fn stable(text: &[u8], out: &mut Vec<'_, u8>) {
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match rest.get(..36).filter(|head| is_uuid(head)) {
            Some(_) => {
                out.push(b'*');
                rest = rest.get(36..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
}

/// `375f9cb3-4355-42c7-eab5-029f8a310ca7`
fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

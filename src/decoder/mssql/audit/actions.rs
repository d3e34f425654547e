//! What the four letters of `action_id` mean (`sys.dm_audit_actions`).

use crate::event::Operation;

/// The kind of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Login,
    Refused,
    Logout,
    /// A batch or a remote call as a whole: only its text says what it did.
    Batch,
    Does(Operation),
    /// The server's own doing, or the audit's.
    Other,
}

const ACTS: &[(Act, &[&str])] = &[
    (Act::Login, &["LGIS", "DBAS", "LGIG", "SVLG"]),
    (Act::Refused, &["LGIF", "DBAF", "LGFL"]),
    (Act::Logout, &["LGO", "DAGL", "DBL", "LGB"]),
    (Act::Batch, &["BCM", "BST", "RCM", "RST"]),
    (Act::Does(Operation::Select), &["SL", "RC", "VW", "VWCT", "VSST", "VDST", "DABO"]),
    (Act::Does(Operation::Insert), &["IN"]),
    (Act::Does(Operation::Update), &["UP"]),
    (Act::Does(Operation::Delete), &["DL"]),
    (Act::Does(Operation::Call), &["EX", "EA", "XA", "XU"]),
    (Act::Does(Operation::Create), &["CR", "NMLG", "USAF"]),
    (
        Act::Does(Operation::Alter),
        &["AL", "ALCN", "ALRS", "ALST", "PWC", "PWCS", "PWR", "PWRS", "PWCG", "PWU", "LGEA", "LGDA", "LGNM", "USTC", "TO", "TODB", "ALTR"],
    ),
    (Act::Does(Operation::Drop), &["DR"]),
    (Act::Does(Operation::Grant), &["G", "GWG", "APRL", "ADDP", "ADSP"]),
    (Act::Does(Operation::Revoke), &["R", "RWG", "RWC", "D", "DWC", "DPRL"]),
    (Act::Does(Operation::Begin), &["TXBG"]),
    (Act::Does(Operation::Commit), &["TXCM"]),
    (Act::Does(Operation::Rollback), &["TXRB"]),
    (Act::Does(Operation::Set), &["IMP", "RVRT"]),
    (Act::Does(Operation::Copy), &["BA", "BAL", "RS", "BUKI"]),
    (Act::Does(Operation::Explain), &["SP", "SPLN"]),
    (Act::Does(Operation::Other), &["RF", "DBCC", "CP", "OP", "SN", "TRO", "TASA", "TASP", "UDAU", "ACDO"]),
];

/// The act with this id, its padding taken off.
pub(super) fn act(id: &[u8]) -> Act {
    ACTS.iter().find(|(_, ids)| ids.iter().any(|known| known.as_bytes() == id)).map_or(Act::Other, |(act, _)| *act)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_means_one_thing() {
        let all: Vec<&str> = ACTS.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
        for id in &all {
            assert_eq!(all.iter().filter(|other| *other == id).count(), 1, "{id}");
            assert!((1..=4).contains(&id.len()), "{id}");
        }
        assert_eq!(act(b"SL"), Act::Does(Operation::Select));
        assert_eq!(act(b"AUSC"), Act::Other);
    }
}

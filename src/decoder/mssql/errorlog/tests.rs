use super::*;
use crate::decoder::stream::{Item, Stream};

/// Kind, user with a mark of trust, address, suspicion.
type Seen = (Kind, String, String, bool);

fn decode(log: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut stream = Stream::new(Some(&FORMAT), Options::default(), 0);
    let mut sink = |item: Item<'_>| match item.decoded {
        Decoded::Event(e) => {
            let mark = |p: Principal<'_>| format!("{}{}", p.name, if p.provenance == Provenance::Authenticated { "!" } else { "" });
            let user = e.principal.map(mark).unwrap_or_default();
            seen.push((e.kind, user, e.address.map(|a| a.to_string()).unwrap_or_default(), e.suspect.is_some()));
        }
        other => panic!("{other:?}"),
    };
    stream.feed(log, &mut sink);
    stream.close(&mut sink);
    seen
}

fn seen(kind: Kind, user: &str, address: &str, suspect: bool) -> Seen {
    (kind, user.to_owned(), address.to_owned(), suspect)
}

fn line(text: &str) -> String {
    format!("2026-11-22 02:05:17.64 Logon       {text}\n")
}

#[test]
fn logins() {
    let log = [
        line("Login succeeded for user 'DOM\\web'. Connection made using Windows authentication. [CLIENT: 10.1.0.7]"),
        line("Error: 18456, Severity: 14, State: 38."),
        line("Login failed for user 'O'Leary'. Reason: Failed to open the explicitly specified database 'x'. [CLIENT: fe80::1%5]"),
        line("Login failed for user ''. [CLIENT: <local machine>]"),
        "2026-11-22 02:05:17.64 spid6s      Recovery is complete.\n\tmore\n".to_owned(),
    ]
    .concat();
    let want = [
        seen(Kind::Login, "DOM\\web!", "10.1.0.7", false),
        seen(Kind::Other, "", "", false),
        seen(Kind::LoginFailed, "O'Leary", "fe80::1", false),
        seen(Kind::LoginFailed, "", "local", false),
        seen(Kind::Other, "", "", false),
    ];
    assert_eq!(decode(log.as_bytes()), want);
    let wide: Vec<u8> = b"\xff\xfe".iter().copied().chain(log.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(decode(&wide), want);
    assert!(sniff(&wide, &Options::default()).certainty > 90 && sniff(log.as_bytes(), &Options::default()).certainty > 90);
}

#[test]
fn other_languages() {
    for (number, failed, client) in [
        (
            "Fehler: 18456, Schweregrad: 14, Status: 8.",
            "Fehler bei der Anmeldung für den Benutzer 'sa'. Ursache: Das Kennwort passt nicht.",
            "CLIENT",
        ),
        ("Erreur : 18456, Gravité : 14, État : 8.", "Échec de l'ouverture de session de l'utilisateur 'sa'.", "CLIENT "),
        ("错误: 18456，严重性: 14，状态: 8。", "用户 'sa' 登录失败。 原因: 密码不匹配。", "客户端"),
    ] {
        let log = [line(number), line(&format!("{failed} [{client}: 10.1.0.9]"))].concat();
        let all = decode(log.as_bytes());
        assert_eq!((all[0].0, all[1].0, all[1].2.as_str()), (Kind::Other, Kind::LoginFailed, "10.1.0.9"), "{failed}");
    }
    let log = line("Anmeldung für den Benutzer 'web' war erfolgreich. [CLIENT: 10.1.0.7]");
    assert_eq!(decode(log.as_bytes()), [seen(Kind::Login, "web!", "10.1.0.7", false)]);
}

#[test]
fn a_name_that_says_that_it_succeeded() {
    for text in [
        "Login failed for user 'web' succeeded'. Reason: Could not find a login matching the name provided. [CLIENT: 10.1.0.9]",
        "Login failed for user 'web'. Reason: x succeeded'. Reason: Could not find a login. [CLIENT: 10.1.0.9]",
        "Fehler bei der Anmeldung für den Benutzer 'web' erfolgreich'. Ursache: Kein solcher Name. [CLIENT: 10.1.0.9]",
        "Échec de l'ouverture de session de l'utilisateur 'web' a réussi l''. Raison : \"x\". [CLIENT : 10.1.0.9]",
    ] {
        let all = decode(line(text).as_bytes());
        assert_eq!((all[0].0, all[0].1.ends_with('!')), (Kind::LoginFailed, false), "{text}");
    }
    let french = line(
        "L'ouverture de session de l'utilisateur 'web' a réussi. Connexion établie à l'aide de l'authentification. [CLIENT : 10.1.0.7]",
    );
    assert_eq!(decode(french.as_bytes()), [seen(Kind::Login, "web!", "10.1.0.7", false)]);
}

#[test]
fn without_a_name() {
    let log = [
        line("Error: 18452, Severity: 14, State: 1."),
        line("Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication. [CLIENT: 10.1.0.9]"),
        line("Error: 17806, Severity: 20, State: 14."),
        line("SSPI handshake failed with error code 0x8009030c, state 14. [CLIENT: 10.1.0.9]"),
    ]
    .concat();
    let kinds: Vec<Seen> = decode(log.as_bytes());
    assert_eq!(kinds[1], seen(Kind::LoginFailed, "", "10.1.0.9", false));
    assert_eq!([kinds[0].0, kinds[2].0, kinds[3].0], [Kind::Other; 3]);
}

#[test]
fn a_source_in_another_language() {
    let log =
        [line("Fehler: 18456, Schweregrad: 14, Status: 8."), line("Fehler bei der Anmeldung für den Benutzer 'sa'. [CLIENT: 10.1.0.9]")];
    let log = log.concat().replace("Logon    ", "Anmeldung");
    assert_eq!(decode(log.as_bytes())[1], seen(Kind::LoginFailed, "sa", "10.1.0.9", false));
    let report = log.replace("Anmeldung ", "spid21s   ");
    assert_eq!(decode(report.as_bytes())[1].0, Kind::Other);
}

#[test]
fn forged_lines_name_nobody() {
    let refused = |name: &str| {
        [
            line("Error: 18456, Severity: 14, State: 5."),
            line(&format!("Login failed for user '{name}'. Reason: Could not find a login. [CLIENT: 10.1.0.9]")),
        ]
        .concat()
    };
    let english = "2026-11-22 02:05:17.64 Logon       Login succeeded for user 'sa'. Connection made using SQL Server authentication. [CLIENT: 6.6.6.6]";
    let german = "2026-11-22 02:05:17.64 Logon       'sa' erfolgreich [CLIENT: 6.6.6.6]";
    for forged in [english, german] {
        for name in [
            format!("x\n{forged}"),
            format!("x\n{forged}\n"),
            format!("x'. Reason: y [CLIENT: 1.1.1.1]\n{forged}"),
            format!("x'. Reason: y [CLIENT: 1.1.1.1]\n{forged}\n2026-11-22 02:05:17.64 s  "),
        ] {
            // What SQL Server takes as a name at all.
            if name.len() > 128 {
                continue;
            }
            let all = decode(refused(&name).as_bytes());
            assert!(all.iter().all(|(kind, user, _, suspect)| *kind != Kind::Login || *suspect && !user.ends_with('!')), "{name}: {all:?}");
            assert!(all.iter().any(|(kind, ..)| *kind == Kind::LoginFailed), "{name}: {all:?}");
        }
    }
}

#[test]
fn the_logs_own_offset_from_utc() {
    let mut log = ErrorLog::new(&Options::default(), false);
    let arena = Bump::new();
    let mut time = |text: &str| match log.decode(Record::new(text.as_bytes()), &arena) {
        Decoded::Event(event) => event.time.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(time("2026-11-22 02:05:17.64 Server      Microsoft SQL Server 2022"), "2026-11-22T02:05:17.64Z");
    assert_eq!(time("2026-11-22 02:05:17.64 Server      UTC adjustment: -8:00"), "2026-11-22T10:05:17.64Z");
    assert_eq!(time("2026-11-22 02:05:17.64 Server      UTC adjustment: 5:00"), "2026-11-22T10:05:17.64Z");
    assert_eq!(time("2026-11-22 02:05:17.64 Logon       x"), "2026-11-22T10:05:17.64Z");
}

#[test]
fn what_is_no_line() {
    let mut log = ErrorLog::new(&Options::default(), false);
    for text in [&b""[..], b"\0", b"2026-11-22", b"2026-99-22 02:05:17.64 Logon       x", b"\xff\xfe", b"2\x000\x00"] {
        let arena = Bump::new();
        assert!(matches!(log.decode(Record::new(text), &arena), Decoded::Reject(_)), "{text:?}");
    }
}

/// The same messages as events of Windows' log, which have no time of their own and may stand among those of other programs.
#[test]
fn events_of_windows() {
    let event = |text: &str| {
        let text = serde_json::to_string(text).unwrap();
        format!("{{\"@timestamp\":\"2026-11-22T02:05:17Z\",\"agent\":{{\"type\":\"winlogbeat\"}},\"message\":{text}}}\n")
    };
    let decode = |texts: &[&str]| -> Vec<Seen> {
        let log: String = texts.iter().map(|text| event(text)).collect();
        let mut seen = Vec::new();
        let mut stream = Stream::new(None, Options::default(), 0);
        let mut sink = |item: Item<'_>| {
            if let Decoded::Event(e) = item.decoded {
                let mark = |p: Principal<'_>| format!("{}{}", p.name, if p.provenance == Provenance::Authenticated { "!" } else { "" });
                let address = e.address.map(|a| a.to_string()).unwrap_or_default();
                seen.push((e.kind, e.principal.map(mark).unwrap_or_default(), address, e.suspect.is_some()));
            }
        };
        stream.feed(log.as_bytes(), &mut sink);
        stream.close(&mut sink);
        seen
    };
    let failed = "Login failed for user 'sa'. Reason: Password did not match that for the login provided. [CLIENT: 10.1.0.9]";
    let short = "Login failed for user 'sa'. [CLIENT: 10.1.0.9]";
    let done = "Login succeeded for user 'DOM\\web'. Connection made using Windows authentication. [CLIENT: 10.1.0.7]";
    assert_eq!(
        decode(&["The service entered the running state.", failed, done, short, done]),
        [
            seen(Kind::LoginFailed, "sa", "10.1.0.9", false),
            seen(Kind::Login, "DOM\\web!", "10.1.0.7", false),
            seen(Kind::LoginFailed, "sa", "10.1.0.9", false),
            // What was refused may have been a name with this in it.
            seen(Kind::Login, "DOM\\web", "10.1.0.7", true),
        ]
    );
    // As long as a name can be, with a message of its own before the one that it forges.
    let forged = "Login succeeded for user 'admin'. Connection made using Windows authentication. [CLIENT: 10.1.0.1]";
    let foreign = format!("'. Reason: {}. [CLIENT: 10.1.0.9]\nsucceeded 'admin' [CLIENT: 10.1.0.1]", "x".repeat(30));
    for name in [format!("\n{forged}\n"), format!("x'. [CLIENT: 10.1.0.9]\n{forged}"), format!("\n{forged}"), forged.to_owned(), foreign] {
        assert!(name.len() <= 128);
        let text = format!("Login failed for user '{name}'. Reason: Could not find a login matching the name provided. [CLIENT: 10.1.0.9]");
        for (kind, user, ..) in decode(&[failed, &text, done]) {
            assert!(!user.starts_with("admin!"), "{kind:?} of {name}");
        }
    }
}

/// A refused login that ends as the server ends it leaves no room in its name for another message.
#[test]
fn a_whole_refusal() {
    let shortest = "Login succeeded for user 'a'. Connection made using authentication.[:]".len();
    assert!(OWN + 1 + shortest > 128, "a name has 128 characters at the most");
    assert!(is_whole(b"Login failed for user 'a'. Reason: Password did not match that for the login provided. [CLIENT: 10.1.0.9]"));
    assert!(!is_whole(b"Login failed for user 'a'. [CLIENT: 10.1.0.9]"));
    assert!(!is_whole(b"Login failed for user 'a'. Reason: Password did not match that for the login provided."));
}

use cairn_world::{Capabilities, Space};

use super::*;

fn probed() -> Probed {
    Probed {
        capabilities: Capabilities {
            direct: true,
            allocate: true,
            punch: true,
            alignment: 512,
        },
        space: Space {
            total: 100 * GIB,
            free: 50 * GIB,
        },
        headroom: 5 * GIB,
        device: 7,
        kind: 0xef53,
        flush: Duration::from_micros(200),
    }
}

fn at(path: &str, probed: Probed) -> Directory {
    Directory {
        path: path.into(),
        above: None,
        probed: Ok(probed),
    }
}

fn good() -> Facts {
    let port = |option, protocol| Port {
        option,
        address: "127.0.0.1:9000".parse().unwrap(),
        protocol,
        bound: Ok(()),
    };
    Facts {
        clock: Clock {
            now: EPOCH_OF_CAIRN + 1,
            kept_by: Some("chrony"),
            ahead: Some(("http://other".to_owned(), Ok(-1))),
        },
        ports: vec![port("--listen", "TCP"), port("--node-listen", "UDP")],
        directories: vec![at("/data", probed())],
        open_files: (Some(1_024), Some(65_536)),
        memory: (Some(8 * GIB), None),
        udp_buffers: (Some(8 * MIB), Some(8 * MIB)),
        instructions: vec![("SHA", true), ("AVX2", true)],
    }
}

/// What is not fine, a line each.
fn wrong(facts: &Facts) -> Vec<String> {
    let findings = judge(facts).into_iter();
    let wrong = findings.filter(|one| one.verdict != Verdict::Fine);
    wrong.map(|one| one.to_string()).collect()
}

/// The one thing that is not fine once `change` was made.
fn one(change: impl FnOnce(&mut Facts)) -> String {
    let mut facts = good();
    change(&mut facts);
    match wrong(&facts).as_slice() {
        [one] => one.clone(),
        other => panic!("{other:?}"),
    }
}

/// The same of a directory.
fn of_directory(change: impl FnOnce(&mut Probed)) -> String {
    one(|facts| {
        let mut changed = probed();
        change(&mut changed);
        facts.directories = vec![at("/data", changed)];
    })
}

#[test]
fn a_good_machine_has_a_line_for_everything_and_nothing_wrong() {
    assert_eq!(wrong(&good()), Vec::<String>::new());
    let all: Vec<String> = judge(&good()).iter().map(ToString::to_string).collect();
    for word in [
        "clock: kept by chrony",
        "clock beside http://other: -1 s",
        "TCP --listen 127.0.0.1:9000: free",
        "UDP --node-listen",
        "/data: file system: O_DIRECT",
        "/data: room: 51200 MiB free of 102400 MiB",
        "/data: durable write: 200.0µs",
        "open files: 1024, raised to 65536",
        "memory: 8192 MiB",
        "UDP buffers: 8192 KiB",
        "processor: SHA, AVX2",
    ] {
        assert!(
            all.iter().any(|line| line.contains(word)),
            "{word}: {all:?}"
        );
    }
}

#[test]
fn a_clock_that_was_never_set_is_not_kept_or_is_off() {
    assert!(one(|facts| facts.clock.now = 5).contains("FAILED   clock: it was never set"));
    assert!(one(|facts| facts.clock.kept_by = None).starts_with("warning  clock: no program"));
    let ahead = |seconds| one(|facts| facts.clock.ahead = Some(("x".to_owned(), Ok(seconds))));
    assert_eq!(ahead(-6), "warning  clock beside x: -6 s");
    assert_eq!(ahead(899), "warning  clock beside x: +899 s");
    assert_eq!(ahead(-900), "FAILED   clock beside x: -900 s");
    let silent = |facts: &mut Facts| {
        facts.clock.ahead = Some(("x".to_owned(), Err("refused".to_owned())));
    };
    assert_eq!(one(silent), "warning  clock beside x: refused");
}

#[test]
fn a_port_that_cannot_be_had_says_why() {
    let refused = |kind| {
        one(|facts| {
            facts
                .ports
                .iter_mut()
                .take(1)
                .for_each(|port| port.bound = Err(kind))
        })
    };
    use std::io::ErrorKind;
    assert!(refused(ErrorKind::AddrInUse).contains("FAILED   TCP --listen 127.0.0.1:9000: taken"));
    assert!(refused(ErrorKind::PermissionDenied).contains("CAP_NET_BIND_SERVICE"));
    assert!(refused(ErrorKind::AddrNotAvailable).contains("no interface"));
    assert!(refused(ErrorKind::OutOfMemory).starts_with("FAILED"));
}

#[test]
fn directories_that_are_not_fit_are_told_apart() {
    let broken = |facts: &mut Facts| {
        for directory in &mut facts.directories {
            directory.probed = Err("permission denied".to_owned());
        }
    };
    assert_eq!(one(broken), "FAILED   /data: permission denied");
    assert!(
        of_directory(|it| it.kind = 0x0102_1994).contains("FAILED   /data: file system: in memory")
    );
    assert!(
        of_directory(|it| it.kind = 0x6969).contains("warning  /data: file system: over a network")
    );
    assert!(of_directory(|it| it.kind = 0x794c_7630).contains("overlay"));
    let lacking = of_directory(|it| {
        it.capabilities.direct = false;
        it.capabilities.punch = false;
    });
    assert!(
        lacking.contains("no O_DIRECT, no hole punching"),
        "{lacking}"
    );
    let room = |free, headroom| of_directory(|it| (it.space.free, it.headroom) = (free, headroom));
    assert!(room(ROOM_FAILS - 1, 0).starts_with("FAILED   /data: room"));
    assert!(room(ROOM_FAILS, 0).starts_with("warning  /data: room"));
    assert!(room(5 * GIB + 1, 5 * GIB).starts_with("warning  /data: room"));
    let refused = room(5 * GIB, 5 * GIB);
    assert!(
        refused.contains("writes leave 5120 MiB free and would all be refused"),
        "{refused}"
    );
    assert!(of_directory(|it| it.flush = Duration::from_millis(21)).contains("every small PUT"));
    assert!(of_directory(|it| it.flush = Duration::from_nanos(900)).contains("switched off"));
}

#[test]
fn directories_on_one_device_are_named_together() {
    let line = one(|facts| {
        let other = Probed {
            device: 8,
            ..probed()
        };
        facts.directories = vec![at("/a", probed()), at("/b", other), at("/c", probed())];
    });
    assert!(line.starts_with("warning  /a, /c: one device"), "{line}");
}

#[test]
fn a_directory_to_be_made_is_fine() {
    let mut facts = good();
    for directory in &mut facts.directories {
        directory.above = Some("/".into());
    }
    assert_eq!(wrong(&facts), Vec::<String>::new());
    let all: Vec<String> = judge(&facts).iter().map(ToString::to_string).collect();
    assert!(
        all.iter().any(|line| line.contains("not there yet")),
        "{all:?}"
    );
}

#[test]
fn files_memory_buffers_and_instructions_have_their_least() {
    let files = |most| one(|facts| facts.open_files = (Some(256), Some(most)));
    assert!(files(1_023).starts_with("FAILED   open files"));
    assert!(files(1_024).contains("LimitNOFILE"));
    let mut facts = good();
    facts.open_files = (None, None);
    assert_eq!(wrong(&facts), Vec::<String>::new());
    assert!(
        one(|facts| facts.memory = (Some(8 * GIB), Some(MIB)))
            .starts_with("FAILED   memory: 1 MiB")
    );
    assert!(one(|facts| facts.memory = (Some(GIB), None)).starts_with("warning  memory"));
    assert!(one(|facts| facts.memory = (None, None)).contains("does not say"));
    assert!(one(|facts| facts.udp_buffers = (Some(212_992), Some(8 * MIB))).contains("208 KiB"));
    assert!(one(|facts| facts.udp_buffers = (None, None)).contains("does not say"));
    assert!(
        one(|facts| facts.instructions = vec![("SHA", false), ("AVX2", true)])
            .contains("without SHA")
    );
}

#[test]
fn buffers_are_of_no_matter_where_no_node_is_to_run() {
    let mut facts = good();
    facts.ports.pop();
    facts.udp_buffers = (None, None);
    assert_eq!(wrong(&facts), Vec::<String>::new());
}

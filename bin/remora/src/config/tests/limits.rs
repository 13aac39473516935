//! The limits, and what is said of those that do not fit one another.

use super::*;

#[test]
fn a_body_leaves_room_for_others() {
    assert_eq!(
        loaded(&[("MAX_BODY_BYTES", "8060928")]).config.limits.max_body_bytes,
        (8 << 20) - (128 << 10) - 196_608
    );
    assert_eq!(loaded(&[("MAX_BODY_BYTES", "8257536")]).config.limits.max_body_bytes, (8 << 20) - (128 << 10));
    assert_eq!(faults(&[("MAX_BODY_BYTES", "8257537")])[0].name, "MAX_BODY_BYTES");
    let small = faults(&[("BODY_MEMORY", "2MiB")]);
    assert_eq!(small[0].name, "BODY_MEMORY");
    assert!(small[0].reject.fix.contains("4224KiB or more") && small[0].reject.fix.contains("1920KiB or less"));
}

#[test]
fn what_a_body_that_does_not_fit_is_told_would_fit() {
    for (threads, memory, body, fix) in [
        ("1", "2MiB", "4MiB", "set BODY_MEMORY to 4224KiB or more, or MAX_BODY_BYTES to 1920KiB or less"),
        ("64", "8MiB", "4MiB", "set BODY_MEMORY to 264MiB or more"),
        ("1", "1GiB", "1GiB", "set MAX_BODY_BYTES to 1048448KiB or less"),
        ("64", "8MiB", "16MiB", "set BODY_MEMORY to 1GiB, and MAX_BODY_BYTES to 16256KiB or less"),
    ] {
        let given =
            [("THREADS", threads), ("BODY_MEMORY", memory), ("MAX_BODY_BYTES", body), ("MAX_CONNECTIONS", "64")];
        let faults = faults(&given);
        assert_eq!((faults.len(), faults[0].reject.fix.as_str()), (1, fix));
        for way in fix.split(", or ") {
            let mut changed = given.to_vec();
            changed.extend(way.split(", and ").map(|change| {
                let (name, value) =
                    change.trim_start_matches("set ").split_once(" to ").expect("a setting and a value");
                let name = ALL.iter().find(|setting| setting.name == name).expect("the name of a setting").name;
                (name, value.split(' ').next().expect("a size"))
            }));
            loaded(&changed);
        }
    }
}

#[test]
fn every_thread_gets_its_part_of_the_limits() {
    let two = [("THREADS", "2"), ("BODY_MEMORY", "8448KiB"), ("MAX_CONNECTIONS", "2"), ("MAX_IN_FLIGHT", "2")];
    assert_eq!(loaded(&two).config.limits.threads.get(), 2);
    let alone = faults(&[("THREADS", "2")]);
    assert_eq!((alone.len(), alone[0].name.as_str()), (1, "THREADS"));
    assert!(alone[0].reject.wrong.contains("8MiB (BODY_MEMORY) divided by 2 (THREADS)"), "{}", alone[0]);
    assert!(alone[0].reject.fix.contains("BODY_MEMORY to 8448KiB or more"), "{}", alone[0]);
    let few = [("THREADS", "3"), ("BODY_MEMORY", "16MiB"), ("MAX_CONNECTIONS", "2"), ("MAX_IN_FLIGHT", "1")];
    let faults = faults(&few);
    let names: Vec<_> = faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, ["MAX_CONNECTIONS", "MAX_IN_FLIGHT"]);
    assert!(faults[1].reject.fix.contains("MAX_IN_FLIGHT to 3 or more, or THREADS to 1 or less"), "{}", faults[1]);
}

#[test]
fn a_patience_longer_than_the_senders_is_warned_of() {
    let name = "UPSTREAM_TIMEOUT";
    for (text, expected) in [("30s", true), ("1m", true), ("29s", false)] {
        assert_eq!(warned(&loaded(&[(name, text)]), name), expected, "{text}");
    }
    assert!(!warned(&loaded(&[]), name), "the default");
}

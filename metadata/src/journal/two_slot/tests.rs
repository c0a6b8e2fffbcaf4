use super::*;
use cairn_world::sim::SimDisk;

const KIND: &[u8] = b"test";

fn open(disk: &SimDisk) -> Option<Option<Vec<u8>>> {
    TwoSlot::open(disk, "value", KIND)
        .unwrap()
        .map(|(_, value)| value)
}

#[test]
fn the_newest_value_is_read() {
    let disk = SimDisk::new(1);
    assert_eq!(open(&disk), None);
    let mut slots = TwoSlot::create(&disk, "value", KIND, b"zero").unwrap();
    for value in [&b"one"[..], b"", b"three"] {
        slots.write(value).unwrap();
        assert_eq!(open(&disk), Some(Some(value.to_vec())));
    }
    let (mut again, _) = TwoSlot::open(&disk, "value", KIND).unwrap().unwrap();
    again.write(b"four").unwrap();
    assert_eq!(open(&disk), Some(Some(b"four".to_vec())));
    assert!(
        TwoSlot::open(&disk, "value", b"other")
            .unwrap()
            .unwrap()
            .1
            .is_none()
    );
}

#[test]
fn a_value_too_long_is_refused() {
    let disk = SimDisk::new(1);
    let mut slots = TwoSlot::create(&disk, "value", KIND, b"").unwrap();
    slots.write(&vec![1; VALUE_LEN_MAX]).unwrap();
    assert!(slots.write(&vec![1; VALUE_LEN_MAX + 1]).is_err());
    assert_eq!(open(&disk).unwrap().unwrap().len(), VALUE_LEN_MAX);
}

#[test]
fn a_crash_at_any_operation_leaves_the_old_or_the_new_value() {
    let script = |disk: &SimDisk| -> (u8, u8) {
        let Ok(mut slots) = TwoSlot::create(disk, "value", KIND, &[0]) else {
            return (0, 1);
        };
        for value in 1..6 {
            if slots.write(&[value]).is_err() {
                return (value, value + 1);
            }
        }
        (6, 6)
    };
    let whole = SimDisk::new(2);
    script(&whole);
    for operation in 1..=whole.operations() {
        for survivor in 0..5 {
            let disk = SimDisk::new(2);
            disk.crash_at(operation);
            let (written, tried) = script(&disk);
            let found = open(&disk.after_crash(survivor * 1_000 + operation)).flatten();
            let found = found.map_or(0, |value| value[0] + 1);
            assert!(
                found >= written && found <= tried,
                "{operation}: {found} of {written}..{tried}"
            );
        }
    }
}

#[test]
fn one_bad_byte_costs_at_most_the_newest_value() {
    let disk = SimDisk::new(3);
    let mut slots = TwoSlot::create(&disk, "value", KIND, b"old").unwrap();
    slots.write(b"new").unwrap();
    for at in 0..2 * SLOT_LEN as u64 {
        let copy = disk.after_kill();
        copy.flip("value", at, 1).unwrap();
        let found = open(&copy).unwrap().unwrap();
        assert!(found == b"new" || found == b"old", "byte {at}: {found:?}");
    }
}

//! How much waits: for people and metrics. Counted up to a bound, so that asking stays cheap.

use cairn_model::limits;
use cairn_wire::metadata::WorkStatus;

use super::Rows;
use crate::apply::ApplyError;
use crate::keyspace::KeyKind;
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::debt::DebtKey;
use crate::keyspace::manifest::ReleaseKey;
use crate::keyspace::session::SessionKey;
use crate::keyspace::upload::DeadUploadKey;

pub(super) fn count(rows: &Rows<'_>) -> Result<WorkStatus, ApplyError> {
    let (deleting, condemned) = divide::<CondemnedKey>(rows, |row| row.deleting)?;
    let (_, sessions) = divide::<SessionKey>(rows, |row| row.ended)?;
    Ok(WorkStatus {
        sessions,
        owed: all::<DebtKey>(rows)?,
        condemned,
        deleting,
        releases: all::<ReleaseKey>(rows)?,
        uploads: all::<DeadUploadKey>(rows)?,
    })
}

fn all<K: KeyKind>(rows: &Rows<'_>) -> Result<u64, ApplyError> {
    let (yes, no) = divide::<K>(rows, |_| true)?;
    Ok(yes + no)
}

/// Rows of which `is` holds, and the others.
fn divide<K: KeyKind>(
    rows: &Rows<'_>,
    is: impl Fn(&K::Row) -> bool,
) -> Result<(u64, u64), ApplyError> {
    let (mut yes, mut no) = (0, 0);
    for row in rows.scan::<K>(&[K::PREFIX]).take(limits::STATUS_COUNT_MAX) {
        let (_, row) = row?;
        if is(&row) {
            yes += 1;
        } else {
            no += 1;
        }
    }
    Ok((yes, no))
}

//! Users: who may sign, and what they own.

use cairn_model::limits;
use cairn_wire::metadata::{PutUser, Refusal, RemoveUser, Reply};

use super::{Context, Stop, Transaction, malformed, refuse};
use crate::keyspace::user::{UserIdKey, UserIdRow, UserKey};

/// Adds or replaces a user. An id keeps its domain for ever; an access key belongs to one id.
pub(super) fn put(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: PutUser,
) -> Result<Reply, Stop> {
    context.cluster()?;
    let Some(mut user) = command.user else {
        return malformed("no user");
    };
    let (shortest, longest) = limits::ACCESS_KEY_LEN;
    if user.id.is_empty()
        || !(shortest..=longest).contains(&user.access_key.len())
        || !(limits::SECRET_KEY_LEN_MIN..=limits::SECRET_KEY_LEN_MAX)
            .contains(&user.secret_key.len())
    {
        return malformed("user id, access key or secret key has a wrong length");
    }
    let key = UserKey(user.access_key.clone());
    if txn.get(&key)?.is_some_and(|other| other.id != user.id) {
        return refuse(Refusal::UserConflict);
    }
    let id_key = UserIdKey(user.id.clone());
    let known = txn.get(&id_key)?;
    if let Some(old) = known.as_ref().filter(|row| !row.access_key.is_empty())
        && old.access_key != user.access_key
    {
        txn.delete(&UserKey(old.access_key.clone()));
    }
    user.domain = match known {
        Some(row) => row.domain,
        None => {
            txn.counters_mut().domain += 1;
            txn.counters().domain
        }
    };
    txn.put(
        &id_key,
        &UserIdRow {
            access_key: user.access_key.clone(),
            domain: user.domain,
        },
    );
    txn.put(&key, &user);
    Ok(Reply {
        number: user.domain,
        ..Reply::default()
    })
}

/// Removes a user's access; what it owns stays.
pub(super) fn remove(txn: &mut Transaction<'_>, command: &RemoveUser) -> Result<Reply, Stop> {
    let key = UserKey(command.access_key.clone());
    let Some(user) = txn.get(&key)? else {
        return refuse(Refusal::NoSuchUser);
    };
    txn.delete(&key);
    txn.put(
        &UserIdKey(user.id),
        &UserIdRow {
            access_key: String::new(),
            domain: user.domain,
        },
    );
    Ok(Reply::default())
}

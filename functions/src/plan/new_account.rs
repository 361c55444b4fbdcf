//! Whether the account is a new one.
//!
//! Nothing is asked of AWS: whoever starts the execution for a new account says in its input since when
//! it is new, and the execution knows when it was started. So an execution is of one mind about it to its
//! end, and one that is started with the same input next week takes the account for what it is then.

use jiff::{SignedDuration, Timestamp};

use crate::contract::Error;
use crate::model::Spec;

const FIELD: &str = "account.newSince";
/// As long as the state machine waits for an account that is not ready; landing zones need minutes to
/// hours.
const NEW_FOR: SignedDuration = SignedDuration::from_hours(4);
/// How far two clocks may be apart.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);

/// Refuses what is not a time.
pub(crate) fn check(new_since: &str) -> Result<Timestamp, Error> {
    new_since.parse().map_err(|_| {
        let expected = "a time of RFC 3339, such as 2026-11-28T10:00:00Z";
        Error::invalid(FIELD, new_since, expected)
    })
}

/// Whether the account was new when the execution started.
///
/// # Errors
/// [`Error::InvalidRequest`] about a time that has not come yet: it would let a wrong input be waited for.
pub(crate) fn is_new(spec: &Spec, started_at: Option<Timestamp>) -> Result<bool, Error> {
    let new_since = spec.account.as_ref().and_then(|it| it.new_since.as_deref());
    let (Some(text), Some(started_at)) = (new_since, started_at) else {
        return Ok(false);
    };
    let age = started_at.duration_since(check(text)?);
    if age < -AHEAD_MAX {
        let expected = format!("a time before the execution's start, {started_at}");
        return Err(Error::invalid(FIELD, text, expected));
    }
    Ok(age <= NEW_FOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(new_since: &str, started_at: Option<&str>) -> Result<bool, Error> {
        let account = json!({"id": "444455556666", "newSince": new_since});
        let spec = Spec::parse(&json!({"clusterName": "demo", "account": account})).unwrap();
        is_new(&spec, started_at.map(|at| at.parse().unwrap()))
    }

    #[test]
    fn an_account_is_new_for_four_hours() {
        let created = "2026-11-28T10:00:00Z";
        for (started_at, expected) in [
            ("2026-11-28T09:59:00Z", true),
            ("2026-11-28T10:00:00Z", true),
            ("2026-11-28T14:00:00.000Z", true),
            ("2026-11-28T14:00:01Z", false),
            ("2027-11-28T10:00:00Z", false),
        ] {
            let answer = answer(created, Some(started_at));
            assert_eq!(answer, Ok(expected), "{started_at}");
        }
        assert_eq!(
            answer("2026-11-28T19:00:00+09:00", Some("2026-11-28T11:00:00Z")),
            Ok(true)
        );
    }

    #[test]
    fn an_account_is_not_new_where_nobody_says_when() {
        let spec = Spec::parse(&json!({"clusterName": "demo"})).unwrap();
        assert_eq!(is_new(&spec, Some(Timestamp::UNIX_EPOCH)), Ok(false));
        assert_eq!(answer("2026-11-28T10:00:00Z", None), Ok(false));
    }

    #[test]
    fn a_time_that_has_not_come_yet_is_refused() {
        let error = answer("2036-11-28T10:00:00Z", Some("2026-11-28T10:00:00Z")).unwrap_err();
        assert!(error.to_string().starts_with(FIELD), "{error}");
        assert!(error.to_string().contains("2026-11-28"), "{error}");
    }
}

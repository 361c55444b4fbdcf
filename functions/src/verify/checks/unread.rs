//! What could not be looked at.

use super::info;
use crate::verify::facts::Facts;
use crate::verify::problem::Problem;

/// Each call that gave nothing.
pub fn not_checked(facts: &Facts) -> Vec<Problem> {
    let unread = facts.unread.iter();
    unread
        .map(|unread| {
            info(
                unread.action,
                format!("not checked: {}", unread.why),
                "an answer",
                format!("allow {} to look at it, too", unread.action),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::facts::Unread;
    use crate::verify::fixtures::healthy;

    #[test]
    fn the_action_and_the_reason_are_named() {
        let mut facts = healthy();
        facts.unread.push(Unread {
            action: "iam:GetRole",
            why: "not authorized".to_owned(),
        });
        let found = not_checked(&facts);
        assert_eq!(found[0].resource, "iam:GetRole");
        assert!(found[0].seen.contains("not authorized"));
    }
}

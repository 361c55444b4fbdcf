//! Checks of the user's tags: they go on everything, so the strictest service decides.

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::Error;
use crate::model::tags;

/// AWS allows 50; hardway and its steps set some of their own, and later versions may set more.
const MAX: usize = 40;
/// EC2's (botocore's EC2 model, Tag.Key); others take one more.
const KEY_MAX: usize = 127;
const VALUE_MAX: usize = 256;
/// By these tags the AWS Load Balancer Controller finds subnets; `subnets` sets them.
const LOAD_BALANCER_PREFIX: &str = "kubernetes.io/role/";
const AWS_PREFIX: &str = "aws:";

/// Refuses tags that AWS would refuse somewhere, and those that hardway sets itself.
pub(crate) fn check(user: &BTreeMap<String, String>) -> Result<(), Error> {
    if user.len() > MAX {
        return Err(Error::invalid("tags", user, format!("at most {MAX} tags")));
    }
    let mut keys = BTreeSet::new();
    for (key, value) in user {
        // IAM's keys ignore case: `Name` and `name` are one.
        let lower = key.to_lowercase();
        check_key(key, &lower)?;
        if value.chars().count() > VALUE_MAX || !value.chars().all(is_allowed) {
            let expected = format!("at most {VALUE_MAX} {}", allowed());
            return Err(Error::invalid(format!("tags.{key}"), value, expected));
        }
        if !keys.insert(lower) {
            let expected = "keys that differ in more than case, because IAM ignores it";
            return Err(Error::invalid("tags", key, expected));
        }
    }
    Ok(())
}

fn check_key(key: &str, lower: &str) -> Result<(), Error> {
    if key.is_empty() || key.chars().count() > KEY_MAX || !key.chars().all(is_allowed) {
        let expected = format!("keys of 1 to {KEY_MAX} {}", allowed());
        return Err(Error::invalid("tags", key, expected));
    }
    let reserved = [AWS_PREFIX, tags::RESERVED_PREFIX, LOAD_BALANCER_PREFIX];
    let is_reserved = reserved.iter().any(|prefix| lower.starts_with(prefix));
    if is_reserved || lower == tags::NAME.to_lowercase() {
        let expected = "keys that neither AWS nor hardway sets: not Name, aws:*, hardway:*, \
                        kubernetes.io/role/*";
        return Err(Error::invalid("tags", key, expected));
    }
    Ok(())
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || " _.:/=+-@".contains(c)
}

fn allowed() -> &'static str {
    "letters, digits, spaces and _.:/=+-@"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pairs: &[(&str, &str)]) -> Result<(), String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        check(&pairs.iter().map(owned).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn ordinary_tags_are_fit() {
        let tags = [
            ("team", "platform"),
            ("cost centre", "a/b=c+d@e:f-1"),
            ("Größe", ""),
        ];
        assert_eq!(checked(&tags), Ok(()));
    }

    #[test]
    fn tags_of_aws_and_hardway_are_refused_in_any_case() {
        for key in [
            "Name",
            "name",
            "aws:x",
            "AWS:x",
            "hardway:role",
            "kubernetes.io/role/elb",
        ] {
            let message = checked(&[(key, "1")]).unwrap_err();
            assert!(message.contains(&format!("tags: \"{key}\"")), "{message}");
        }
    }

    #[test]
    fn tags_that_aws_would_refuse_are_refused() {
        let long = "x".repeat(257);
        for pair in [
            ("", "v"),
            (&long[..128], "v"),
            ("a*b", "v"),
            ("k", "<"),
            ("k", &long),
        ] {
            assert!(checked(&[pair]).is_err(), "{pair:?}");
        }
        assert_eq!(checked(&[(&long[..127], &long[..256])]), Ok(()));
        assert!(
            checked(&[("Team", "a"), ("team", "b")])
                .unwrap_err()
                .contains("case")
        );
    }

    #[test]
    fn at_most_40_tags() {
        let tags = |number| {
            (0..number)
                .map(|n| (format!("k{n}"), String::new()))
                .collect()
        };
        assert_eq!(check(&tags(40)), Ok(()));
        assert!(check(&tags(41)).is_err());
    }
}

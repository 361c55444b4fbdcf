//! Kubernetes versions: which is older, and the way from one to the next.

use std::fmt;

use crate::contract::Error;

/// Field of the input.
pub const FIELD: &str = "kubernetesVersion";

/// A minor version of Kubernetes, for example `1.36`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesVersion {
    major: u32,
    minor: u32,
}

impl KubernetesVersion {
    /// Reads `1.36`; none if it is no such text. As text, 1.9 would be newer than 1.36.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }

    /// The next minor version, whether it exists yet or not.
    #[must_use]
    pub fn next(self) -> Self {
        Self {
            minor: self.minor + 1,
            ..self
        }
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Whether a cluster that runs `current` is to be upgraded when `asked` is asked for. If both are the
/// same, it is not; if `asked` is older, it is not either: the cluster keeps its version. EKS itself
/// upgrades clusters at the end of standard support, and the input that made one is not wrong for that.
///
/// # Errors
/// [`Error::InvalidRequest`] about the input's `kubernetesVersion` if `asked` is more than one minor
/// version newer.
pub fn is_upgrade(current: &str, asked: &str) -> Result<bool, Error> {
    if current == asked {
        return Ok(false);
    }
    let versions = KubernetesVersion::parse(current).zip(KubernetesVersion::parse(asked));
    match versions {
        Some((from, to)) if to == from.next() => Ok(true),
        Some((from, to)) if to > from => Err(Error::invalid(
            FIELD,
            asked,
            format!(
                "{}, the next version: the cluster runs {current}, and EKS upgrades one minor version \
                 at a time",
                from.next()
            ),
        )),
        Some(_) => Ok(false),
        None => Err(Error::invalid(
            FIELD,
            asked,
            format!("a version like {current}, which the cluster runs"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let version = |text| KubernetesVersion::parse(text).unwrap();
        assert!(version("1.9") < version("1.36"));
        assert!(version("1.36") < version("2.0"));
        assert_eq!(version("1.9").next().to_string(), "1.10");
        for text in ["", "1", "1.x", "v1.36", "1.36.1"] {
            assert_eq!(KubernetesVersion::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_next_version_is_an_upgrade() {
        assert_eq!(is_upgrade("1.35", "1.35"), Ok(false));
        assert_eq!(is_upgrade("1.35", "1.36"), Ok(true));
        assert_eq!(is_upgrade("1.9", "1.10"), Ok(true));
    }

    #[test]
    fn a_leap_is_refused_with_the_next_version() {
        let error = is_upgrade("1.34", "1.36").unwrap_err();
        assert_eq!(error.name(), "InvalidRequest");
        let expected = "kubernetesVersion: \"1.36\" is not valid; expected 1.35, the next version: the \
                        cluster runs 1.34, and EKS upgrades one minor version at a time";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_cluster_that_is_newer_keeps_its_version() {
        assert_eq!(is_upgrade("1.36", "1.35"), Ok(false));
        assert_eq!(is_upgrade("1.36", "1.9"), Ok(false));
    }

    #[test]
    fn malformed_version_is_refused() {
        assert_eq!(
            is_upgrade("1.36", "latest").unwrap_err().name(),
            "InvalidRequest"
        );
    }
}

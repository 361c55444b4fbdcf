//! What lets the nodes of Fargate into the cluster: an access entry, or the ConfigMap `aws-auth`.

use aws_sdk_eks::types::{AccessEntry, AuthenticationMode};
use aws_sdk_iam::types::Role;

use super::{error, info, problem, warning};

use crate::resources::access_entry::{FARGATE_LINUX, is_stale};
use crate::verify::facts::{Facts, Known, PodRole, User};
use crate::verify::problem::{Problem, Severity};

/// The role of a profile has no entry, or one of another type. EKS makes it with the profile; it is
/// missing when somebody deleted it.
pub fn missing(facts: &Facts) -> Vec<Problem> {
    let roles = facts.pod_roles.iter();
    roles.filter_map(|role| lacking(facts, role)).collect()
}

fn lacking(facts: &Facts, role: &PodRole) -> Option<Problem> {
    let (severity, seen) = match role.entry.read()? {
        // The config map may have it.
        None if facts.authentication_mode() == AuthenticationMode::ApiAndConfigMap => (
            Severity::Warning,
            "it has no access entry, and whether the ConfigMap aws-auth names it, the APIs do not \
             show"
                .to_owned(),
        ),
        None => (Severity::Error, "it has no access entry".to_owned()),
        Some(entry) if entry.r#type() == Some(FARGATE_LINUX) => return None,
        Some(entry) => {
            let kind = entry.r#type().unwrap_or("unknown");
            (
                Severity::Error,
                format!("its access entry has the type {kind}"),
            )
        }
    };
    let (cluster, arn) = (facts.cluster_name(), &role.arn);
    let fix = format!(
        "run aws eks create-access-entry --cluster-name {cluster} --principal-arn {arn} --type \
         {FARGATE_LINUX}"
    );
    let expected = format!("an access entry of the type {FARGATE_LINUX}");
    Some(problem(severity, arn, seen, expected, fix))
}

/// An entry holds for the id of a role, not for its name (EKS user guide, access entries).
pub fn stale(facts: &Facts) -> Vec<Problem> {
    let roles = facts.pod_roles.iter();
    roles.filter_map(|role| outlived(facts, role)).collect()
}

fn outlived(facts: &Facts, role: &PodRole) -> Option<Problem> {
    let entry = role.entry.read()?.as_ref()?;
    let seen = made_again(entry, role.role.read()?.as_ref()?)?;
    let (cluster, arn) = (facts.cluster_name(), &role.arn);
    let fix = format!(
        "run aws eks delete-access-entry --cluster-name {cluster} --principal-arn {arn}, then aws eks \
         create-access-entry with the same and --type {FARGATE_LINUX}"
    );
    Some(error(
        arn,
        seen,
        "an access entry that is younger than the role",
        fix,
    ))
}

/// What shows that an entry holds for an earlier role of the same name.
fn made_again(entry: &AccessEntry, role: &Role) -> Option<String> {
    let made = entry.created_at().filter(|_| is_stale(entry, role))?;
    let born = role.create_date();
    Some(format!(
        "its access entry is of {made}, the role of {born}: it was made again since"
    ))
}

/// The same of people's roles, who are answered `Unauthorized`. Pods run all the same.
pub fn stale_of_users(facts: &Facts) -> Vec<Problem> {
    let users = facts.users.iter();
    users.filter_map(|user| locked_out(facts, user)).collect()
}

fn locked_out(facts: &Facts, user: &User) -> Option<Problem> {
    let seen = made_again(&user.entry, user.role.read()?.as_ref()?)?;
    let (cluster, arn) = (facts.cluster_name(), &user.arn);
    let fix = format!(
        "of a role in access.admins: start the execution again, which makes its entry again; of another: \
         run aws eks delete-access-entry --cluster-name {cluster} --principal-arn {arn}, then \
         create-access-entry and associate-access-policy as they were"
    );
    Some(warning(
        arn,
        seen,
        "an access entry that is younger than the role",
        fix,
    ))
}

/// Clusters that know no access entries.
pub fn config_map(facts: &Facts) -> Vec<Problem> {
    if facts.authentication_mode() != AuthenticationMode::ConfigMap || facts.pod_roles.is_empty() {
        return vec![];
    }
    let roles = facts
        .pod_roles
        .iter()
        .filter(|role| !matches!(role.role, Known::Unread));
    let with_path: Vec<&str> = roles
        .map(|role| role.arn.as_str())
        .filter(|arn| arn.matches('/').count() > 1)
        .collect();
    if !with_path.is_empty() {
        let seen = format!("{} has a path", with_path.join(", "));
        let fix = "use a role without one, or turn access entries on: aws eks update-cluster-config \
                   --access-config authenticationMode=API_AND_CONFIG_MAP";
        return vec![error(
            facts.cluster_arn(),
            seen,
            "roles without a path: the ConfigMap aws-auth knows no other",
            fix,
        )];
    }
    vec![info(
        facts.cluster_arn(),
        "its authentication mode is CONFIG_MAP",
        "the roles of the Fargate profiles in the ConfigMap aws-auth, where EKS puts them",
        "if nodes do not register, look at it: kubectl get configmap aws-auth -n kube-system -o yaml",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::fixtures::{ROLE_MADE, healthy};
    use aws_sdk_eks::primitives::DateTime;
    use aws_sdk_eks::types::AccessConfigResponse;

    fn with_entry(entry: Option<AccessEntry>) -> Facts {
        let mut facts = healthy();
        facts.pod_roles[0].entry = Known::Read(entry);
        facts
    }

    fn entry(kind: &str, made: i64) -> AccessEntry {
        let made = DateTime::from_secs(made);
        AccessEntry::builder().r#type(kind).created_at(made).build()
    }

    fn in_mode(mut facts: Facts, mode: AuthenticationMode) -> Facts {
        let config = AccessConfigResponse::builder().authentication_mode(mode);
        facts.cluster.access_config = Some(config.build());
        facts
    }

    #[test]
    fn an_entry_must_be_there_and_of_the_right_type() {
        let found = missing(&with_entry(None));
        assert_eq!(found[0].severity, Severity::Error);
        assert!(found[0].fix.contains("--type FARGATE_LINUX"));
        let found = missing(&with_entry(Some(entry("STANDARD", ROLE_MADE + 1))));
        assert!(found[0].seen.contains("STANDARD"));
    }

    #[test]
    fn with_a_config_map_beside_them_entries_are_not_all() {
        let facts = in_mode(with_entry(None), AuthenticationMode::ApiAndConfigMap);
        assert_eq!(missing(&facts)[0].severity, Severity::Warning);
    }

    #[test]
    fn an_entry_of_an_earlier_role_does_not_hold() {
        let facts = with_entry(Some(entry(FARGATE_LINUX, ROLE_MADE - 60)));
        assert_eq!(missing(&facts), []);
        assert!(stale(&facts)[0].seen.contains("made again"));
    }

    #[test]
    fn a_users_entry_of_an_earlier_role_is_a_warning() {
        let user = |made| User {
            arn: "arn:aws:iam::111122223333:role/Admin".to_owned(),
            entry: entry("STANDARD", made),
            role: healthy().pod_roles.remove(0).role,
        };
        let mut facts = healthy();
        facts.users = vec![user(ROLE_MADE), user(ROLE_MADE - 1)];
        let found = stale_of_users(&facts);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Warning);
        assert!(found[0].seen.contains("made again"));
        facts.users[1].role = Known::Unread;
        assert_eq!(stale_of_users(&facts), []);
    }

    #[test]
    fn the_config_map_cannot_be_seen() {
        let mut facts = in_mode(healthy(), AuthenticationMode::ConfigMap);
        facts.pod_roles[0].entry = Known::Unread;
        assert_eq!(missing(&facts), []);
        assert_eq!(config_map(&facts)[0].severity, Severity::Info);
        facts.pod_roles[0].arn = "arn:aws:iam::111122223333:role/eks/pods".to_owned();
        assert_eq!(config_map(&facts)[0].severity, Severity::Error);
    }
}

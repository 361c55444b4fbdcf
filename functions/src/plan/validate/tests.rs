//! Unit tests of the checks.

use super::*;
use serde_json::{Value, json};

use crate::model::Plan;

/// What is said about an input that has `members` beside its name.
fn checked(members: Value) -> Result<(), String> {
    checked_for(members, &Plan::example().target)
}

fn checked_for(members: Value, target: &Target) -> Result<(), String> {
    let mut input = json!({"clusterName": "demo"});
    let Value::Object(members) = members else {
        panic!("members of an object")
    };
    input.as_object_mut().unwrap().extend(members);
    let spec = Spec::parse(&input).map_err(|error| error.to_string())?;
    let answer = check(&spec).and_then(|()| check_for(&spec, target));
    answer.map_err(|error| {
        assert_eq!(error.name(), "InvalidRequest");
        error.to_string()
    })
}

/// Asserts that an input is refused because of `field`, with `expected` in what would be right.
fn assert_refused(members: impl Into<Value>, field: &str, expected: &str) {
    let members = members.into();
    let message = checked(members.clone()).expect_err(&members.to_string());
    assert!(message.starts_with(&format!("{field}: ")), "{message}");
    let (_, hint) = message.split_once("expected ").unwrap();
    assert!(hint.contains(expected), "{message}");
}

fn profile(name: &str) -> Value {
    json!({"name": name, "selectors": [{"namespace": "kube-system"}]})
}

#[test]
fn a_name_is_enough() {
    assert_eq!(checked(json!({})), Ok(()));
}

#[test]
fn the_committed_examples_are_fit() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../statemachine/examples");
    for name in ["minimal", "three-azs", "cheap", "all-fields"] {
        let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
        let spec = Spec::parse(&serde_json::from_str(&text).unwrap()).unwrap();
        let mut target = Plan::example().target;
        if let Some(account) = &spec.account {
            target.account.id.clone_from(&account.id);
        }
        assert_eq!(
            check(&spec).and_then(|()| check_for(&spec, &target)),
            Ok(()),
            "{name}"
        );
    }
}

#[test]
fn the_example_with_all_fields_has_all_fields() {
    let schema = serde_json::to_value(schemars::schema_for!(Spec)).unwrap();
    let example = include_str!("../../../../statemachine/examples/all-fields.json");
    let example: Value = serde_json::from_str(example).unwrap();
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&example), names(&schema["properties"]));
    for (member, definition) in [
        ("account", "AccountSpec"),
        ("network", "NetworkSpec"),
        ("endpoint", "EndpointSpec"),
        ("access", "Access"),
    ] {
        let mut wanted = names(&schema["$defs"][definition]["properties"]);
        // Zones that are named need no exclusions: either field refuses the other.
        wanted.remove("excludedAvailabilityZoneIds");
        assert_eq!(names(&example[member]), wanted, "{member}");
    }
}

#[test]
fn cluster_names_are_those_of_eks() {
    for name in ["", "-demo", "_demo", "de mo", "démo", &"x".repeat(101)] {
        assert_refused(
            json!({"clusterName": name}),
            "clusterName",
            "1 to 100 letters",
        );
    }
    assert_eq!(checked(json!({"clusterName": "x".repeat(100)})), Ok(()));
    assert_eq!(checked(json!({"clusterName": "0_a-B"})), Ok(()));
}

#[test]
fn regions_and_versions_have_a_shape() {
    for region in ["tokyo", "ap-northeast", "ap-northeast-1a", "AP-NORTHEAST-1"] {
        assert_refused(json!({"region": region}), "region", "ap-northeast-1");
    }
    assert_eq!(checked(json!({"region": "mx-central-1"})), Ok(()));
    assert_refused(json!({"region": "cn-north-1"}), "region", "partition aws");
    for version in ["1", "v1.36", "1.36.2", "latest"] {
        let field = "kubernetesVersion";
        assert_refused(json!({field: version}), field, "such as 1.36");
    }
}

#[test]
fn accounts_and_their_roles_have_a_shape() {
    let account = |member: &str, value: &str| {
        let mut account = json!({"id": "111122223333"});
        account[member] = value.into();
        json!({"account": account})
    };
    assert_refused(account("id", "1111"), "account.id", "twelve digits");
    let arn = "arn:aws:iam::111122223333:role/Admin";
    assert_refused(account("roleName", arn), "account.roleName", "not its ARN");
    assert_refused(
        account("externalId", "x"),
        "account.externalId",
        "2 to 1224",
    );
    assert_refused(
        account("externalId", "a b"),
        "account.externalId",
        "2 to 1224",
    );
    assert_eq!(checked(account("roleName", "path/to/Admin")), Ok(()));
    assert_eq!(checked(account("externalId", "a:b/c")), Ok(()));
}

#[test]
fn networks_have_a_block_and_two_or_three_zones() {
    let cidr = json!({"network": {"cidr": "10.0.0.0/28"}});
    assert_refused(cidr, "network.cidr", "to /24");
    for number in [0, 1, 4] {
        let zones = json!({"network": {"availabilityZones": number}});
        assert_refused(zones, "network.availabilityZones", "2 or 3");
    }
}

#[test]
fn endpoint_must_be_reachable() {
    let endpoint = |endpoint: Value| json!({"endpoint": endpoint});
    let none = endpoint(json!({"public": false, "private": false}));
    assert_refused(none, "endpoint", "public or private on");
    let closed = endpoint(json!({"public": false, "publicCidrs": ["203.0.113.0/24"]}));
    assert_refused(closed, "endpoint.publicCidrs", "the public endpoint is off");
    assert_eq!(checked(endpoint(json!({"public": false}))), Ok(()));
}

#[test]
fn public_cidrs_are_blocks() {
    let cidrs = |cidrs: Value| json!({"endpoint": {"publicCidrs": cidrs}});
    let field = "endpoint.publicCidrs";
    assert_refused(cidrs(json!([])), field, "1 to 40");
    assert_refused(cidrs(json!(vec!["203.0.113.0/24"; 41])), field, "1 to 40");
    let second = "endpoint.publicCidrs[1]";
    assert_refused(
        cidrs(json!([EVERYONE, "all"])),
        second,
        "an IPv4 CIDR block",
    );
    assert_refused(
        cidrs(json!([EVERYONE, "203.0.113.7/24"])),
        second,
        "203.0.113.0/24",
    );
}

#[test]
fn fargates_nodes_have_to_reach_the_endpoint() {
    let with = |cidrs: &[&str]| json!({"endpoint": {"private": false, "publicCidrs": cidrs}});
    assert_refused(
        with(&["203.0.113.0/24"]),
        "endpoint.private",
        "Fargate's nodes",
    );
    assert_eq!(checked(with(&[EVERYONE])), Ok(()));
    assert_eq!(checked(with(&["0.0.0.0/1", "128.0.0.0/1"])), Ok(()));
    assert_eq!(checked(json!({"endpoint": {"private": false}})), Ok(()));
}

#[test]
fn fargate_profiles_are_one_to_ten_with_names_of_their_own() {
    let profiles = |profiles: Vec<Value>| json!({"fargateProfiles": profiles});
    assert_refused(profiles(vec![]), "fargateProfiles", "1 to 10");
    let many = (0..11).map(|n| profile(&format!("p{n}"))).collect();
    assert_refused(profiles(many), "fargateProfiles", "1 to 10");
    let doubles = vec![profile("a"), profile("a")];
    assert_refused(
        profiles(doubles),
        "fargateProfiles[1].name",
        "no other profile",
    );
    for name in ["", "-a", "a b", &"x".repeat(101)] {
        let name = profiles(vec![profile(name)]);
        assert_refused(name, "fargateProfiles[0].name", "1 to 100 letters");
    }
    let reserved = profiles(vec![profile("eks-mine")]);
    assert_refused(reserved, "fargateProfiles[0].name", "reserved for AWS");
}

#[test]
fn selectors_and_labels_have_limits_and_shapes() {
    let selectors = |selectors: Value| json!({"fargateProfiles": [profile("a"), {"name": "b", "selectors": selectors}]});
    let field = "fargateProfiles[1].selectors";
    assert_refused(selectors(json!([])), field, "1 to 5");
    let many = vec![json!({"namespace": "x"}); 6];
    assert_refused(selectors(json!(many)), field, "1 to 5");
    let upper = selectors(json!([{"namespace": "Prod"}]));
    assert_refused(
        upper,
        &format!("{field}[0].namespace"),
        "a Kubernetes namespace",
    );

    let labels = |labels: Value| selectors(json!([{"namespace": "x", "labels": labels}]));
    let field = format!("{field}[0].labels");
    let many = json!({"a": "", "b": "", "c": "", "d": "", "e": "", "f": ""});
    assert_refused(labels(many), &field, "at most 5");
    assert_refused(labels(json!({"a b": "c"})), &field, "Kubernetes labels");
    assert_refused(labels(json!({"a": "b c"})), &field, "Kubernetes labels");
    let fit = json!({"app.kubernetes.io/name": "web-*", "tier": "fro?t"});
    assert_eq!(checked(labels(fit)), Ok(()));
}

#[test]
fn a_profile_must_have_a_place_for_coredns() {
    let with =
        |selector: Value| json!({"fargateProfiles": [{"name": "a", "selectors": [selector]}]});
    for unfit in [
        json!({"namespace": "default"}),
        json!({"namespace": "kube-system", "labels": {"k8s-app": "metrics-server"}}),
    ] {
        assert_refused(with(unfit), "fargateProfiles", "a selector for CoreDNS");
    }
    for fit in [
        json!({"namespace": "kube-*"}),
        json!({"namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}),
        json!({"namespace": "*", "labels": {"eks.amazonaws.com/component": "coredns"}}),
    ] {
        assert_eq!(checked(with(fit)), Ok(()));
    }
}

#[test]
fn admins_are_roles_and_users() {
    let admins = |arns: &[&str]| json!({"access": {"admins": arns}});
    let role = "arn:aws:iam::111122223333:role/path/Admin";
    let user = "arn:aws:iam::444455556666:user/ops";
    assert_eq!(checked(admins(&[role, user])), Ok(()));
    assert_refused(admins(&[role, role]), "access.admins[1]", "each ARN once");
    let session = "arn:aws:sts::111122223333:assumed-role/Admin/someone";
    let right = "arn:aws:iam::111122223333:role/Admin";
    assert_refused(admins(&[session]), "access.admins[0]", right);
    for unfit in [
        "Admin",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:group/Admins",
        "arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/X",
    ] {
        assert_refused(admins(&[unfit]), "access.admins[0]", "an IAM role or user");
    }
    let china = "arn:aws-cn:iam::111122223333:role/Admin";
    assert_refused(
        admins(&[role, china]),
        "access.admins[1]",
        "the partition aws",
    );
}

#[test]
fn logs_are_asked_for_once() {
    assert_refused(json!({"logging": ["audit", "audit"]}), "logging", "once");
    assert_eq!(checked(json!({"logging": ["audit", "api"]})), Ok(()));
}

#[test]
fn a_kms_key_is_in_the_clusters_region() {
    let key = |arn: &str| json!({"kmsKeyArn": arn});
    let unfit = "arn:aws:kms:ap-northeast-1:111122223333:policy/x";
    assert_refused(key(unfit), "kmsKeyArn", "a KMS key or alias");
    let elsewhere = "arn:aws:kms:us-east-1:111122223333:key/1234";
    assert_refused(key(elsewhere), "kmsKeyArn", "a key in ap-northeast-1");
    let elsewhere = "arn:aws-cn:kms:ap-northeast-1:111122223333:key/1234";
    assert_refused(key(elsewhere), "kmsKeyArn", "the partition aws");
    let fit = "arn:aws:kms:ap-northeast-1:444455556666:alias/eks";
    assert_eq!(checked(key(fit)), Ok(()));
}

#[test]
fn a_permissions_boundary_is_of_the_clusters_account() {
    let boundary = |arn: &str| json!({"permissionsBoundaryArn": arn});
    let field = "permissionsBoundaryArn";
    let unfit = "arn:aws:iam::111122223333:role/x";
    assert_refused(boundary(unfit), field, "an IAM policy");
    let elsewhere = "arn:aws:iam::444455556666:policy/Limit";
    assert_refused(boundary(elsewhere), field, "the account 111122223333");
    for fit in [
        "arn:aws:iam::111122223333:policy/path/Limit",
        "arn:aws:iam::aws:policy/PowerUserAccess",
    ] {
        assert_eq!(checked(boundary(fit)), Ok(()));
    }
}

#[test]
fn tags_are_checked() {
    assert_refused(
        json!({"tags": {"Name": "x"}}),
        "tags",
        "neither AWS nor hardway",
    );
}

#[test]
fn zones_are_named_or_left_out_by_id() {
    let named = "network.availabilityZoneIds";
    let excluded = "network.excludedAvailabilityZoneIds";
    let network = |members: Value| json!({"network": members});
    let ids = |ids: &[&str]| network(json!({"availabilityZoneIds": ids}));
    for fit in [
        ids(&["apne1-az1", "apne1-az4"]),
        network(json!({"availabilityZoneIds": ["use1-az1", "use1-az2"], "availabilityZones": 2})),
        network(json!({"excludedAvailabilityZoneIds": ["eusc-dee1-az1"]})),
        network(json!({"excludedAvailabilityZoneIds": []})),
    ] {
        assert_eq!(checked(fit.clone()), Ok(()), "{fit}");
    }
    for wrong in ["ap-northeast-1a", "az1", "", "APNE1-AZ1", "apne1-az1 "] {
        let field = format!("{named}[1]");
        assert_refused(ids(&["apne1-az1", wrong]), &field, "not its name");
        let list = network(json!({"excludedAvailabilityZoneIds": [wrong]}));
        assert_refused(list, &format!("{excluded}[0]"), "such as apne1-az1");
    }
    let twice = ids(&["apne1-az1", "apne1-az1"]);
    assert_refused(twice, &format!("{named}[1]"), "each zone once");
    for list in [
        &[][..],
        &["a1-az1"],
        &["a1-az1", "a1-az2", "a1-az3", "a1-az4"],
    ] {
        assert_refused(ids(list), named, "2 or 3 zones");
    }
    let three = json!({"availabilityZoneIds": ["a1-az1", "a1-az2"], "availabilityZones": 3});
    assert_refused(network(three), named, "availabilityZones says (3)");
    let both = json!({
        "availabilityZoneIds": ["a1-az1", "a1-az2"],
        "excludedAvailabilityZoneIds": ["a1-az3"],
    });
    assert_refused(network(both), excluded, named);
}

#[test]
fn there_is_no_fargate_in_govcloud() {
    let mut target = Plan::example().target;
    (target.partition, target.region) = ("aws-us-gov".to_owned(), "us-gov-east-1".to_owned());
    for members in [json!({}), json!({"region": "us-gov-east-1"})] {
        let message = checked_for(members, &target).unwrap_err();
        assert!(
            message.starts_with("region: \"us-gov-east-1\""),
            "{message}"
        );
    }
}

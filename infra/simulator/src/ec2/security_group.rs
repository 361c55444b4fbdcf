//! Security groups. Of their rules only what EC2 and EKS make by themselves.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Ec2;
use super::describe::{Resource, Spelling, describe as answer};
use super::kind::{Kind, SECURITY_GROUP, VPC};
use super::request::{Request, invalid_value};
use super::tags::{self, Tags};
use crate::api_error::ApiError;
use crate::seed::Seed;
use crate::xml::Element;

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// `sg-…`
    pub id: String,
    /// The VPC that it is of.
    pub vpc_id: String,
    /// Unique in its VPC.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The account that it belongs to.
    pub owner: String,
    /// Ids of the groups that it lets everything in from.
    pub ingress_from: Vec<String>,
    /// Where it lets everything out to: blocks, and ids of groups. A new group has the first (VPC user
    /// guide, security group rules). Tests change it.
    #[serde(default = "anywhere")]
    pub egress_to: Vec<String>,
    /// When the service that made it will delete it, if it is going to.
    #[serde(default)]
    pub gone_at: Option<Timestamp>,
    /// Tags.
    pub tags: Tags,
}

/// What another service says of a group that it wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSecurityGroup {
    /// The VPC.
    pub vpc_id: String,
    /// Its name; what its id is drawn from, too.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The account that it belongs to.
    pub owner: String,
    /// Tags; those that start with `aws:` as well.
    pub tags: Tags,
}

/// Where a new group lets everything out to.
fn anywhere() -> Vec<String> {
    vec![ANYWHERE.to_owned()]
}

const ANYWHERE: &str = "0.0.0.0/0";
/// The name of the group that every VPC has.
const DEFAULT: &str = "default";
/// botocore's EC2 model, CreateSecurityGroup: names and descriptions have up to 255 of these
/// characters beside letters, digits and spaces.
const SYMBOLS: &str = "._-:/()#,@[]+=&;{}!$* ";
const LENGTH_MAX: usize = 255;

impl SecurityGroup {
    /// Whether what is in it can talk to what else is in it, and reaches the internet where there is a way.
    #[must_use]
    pub fn serves_its_members(&self) -> bool {
        let lets_out = |to: &str| self.egress_to.iter().any(|it| it == to);
        self.ingress_from.contains(&self.id) && lets_out(ANYWHERE)
    }

    /// Whether it is the one that came with the VPC.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT
    }
}

impl SecurityGroup {
    /// The groups, or the blocks, that it lets everything out to.
    fn egress(&self, groups: bool) -> Vec<String> {
        let all = self.egress_to.iter();
        let wanted = all.filter(|to| to.starts_with(SECURITY_GROUP.prefix) == groups);
        wanted.cloned().collect()
    }
}

impl Ec2 {
    /// Makes a group whose members may talk to each other, as EKS does for a cluster, and returns its
    /// id.
    pub fn add_security_group(&mut self, seed: Seed, new: NewSecurityGroup) -> String {
        let name = format!("{}/{}/{}", new.owner, new.vpc_id, new.name);
        let id = self.fresh_id(seed, SECURITY_GROUP.prefix, &name);
        self.insert_group(id.clone(), new, true);
        id
    }

    /// Lets the service that has made a group delete it at a time. Like anybody it fails if something
    /// uses the group then, and it tries only once: the group stays (aws/aws-k8s-tester pull request
    /// 416).
    pub fn remove_security_group_at(&mut self, id: &str, at: Timestamp) {
        if let Some(group) = self.security_groups.get_mut(id) {
            group.gone_at = Some(at);
        }
    }

    /// Whether an interface is in the group, another group lets it in, or another VPC has it, at a time.
    fn is_group_in_use(&self, id: &str, at: Timestamp) -> bool {
        let is_worn = (self.network_interfaces.values())
            .filter(|interface| interface.gone_at.is_none_or(|gone_at| at < gone_at))
            .any(|interface| interface.security_groups.iter().any(|it| it == id));
        let is_referenced = (self.security_groups.values())
            .any(|other| other.id != id && other.ingress_from.iter().any(|it| it == id));
        is_worn || is_referenced || self.is_associated(id, at)
    }

    /// Removes a group, whoever uses it.
    pub fn remove_security_group(&mut self, id: &str) {
        self.security_groups.remove(id);
    }

    fn insert_group(&mut self, id: String, new: NewSecurityGroup, lets_itself_in: bool) {
        let group = SecurityGroup {
            vpc_id: new.vpc_id,
            name: new.name,
            description: new.description,
            owner: new.owner,
            ingress_from: lets_itself_in.then(|| id.clone()).into_iter().collect(),
            egress_to: anywhere(),
            gone_at: None,
            tags: new.tags,
            id: id.clone(),
        };
        self.security_groups.insert(id, group);
    }
}

/// Lets the groups go whose time has come, unless something uses them then.
pub(super) fn settle(ec2: &mut Ec2, now: Timestamp) {
    let groups = ec2.security_groups.values();
    let due = |group: &SecurityGroup| {
        let gone_at = group.gone_at.filter(|gone_at| *gone_at <= now)?;
        Some((group.id.clone(), gone_at))
    };
    let due: Vec<(String, Timestamp)> = groups.filter_map(due).collect();
    for (id, gone_at) in due {
        if !ec2.is_group_in_use(&id, gone_at) {
            ec2.remove_security_group(&id);
        } else if let Some(group) = ec2.security_groups.get_mut(&id) {
            group.gone_at = None;
        }
    }
}

/// The default group of a new VPC (VPC user guide, default security groups).
pub(super) fn create_default(ec2: &mut Ec2, request: &Request<'_>, vpc_id: &str) {
    let id = ec2.mint(
        request,
        SECURITY_GROUP.prefix,
        &format!("{vpc_id}/{DEFAULT}"),
    );
    let new = NewSecurityGroup {
        vpc_id: vpc_id.to_owned(),
        name: DEFAULT.to_owned(),
        description: "default VPC security group".to_owned(),
        owner: request.account.to_owned(),
        tags: Tags::new(),
    };
    ec2.insert_group(id, new, true);
}

/// `CreateSecurityGroup`.
pub(super) fn create(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let name = group_name(request)?;
    // moto's test_create_and_describe_security_group, made after AWS's answer: empty is missing.
    let description = (request.get("GroupDescription")).filter(|text| !text.is_empty());
    let description = description.ok_or_else(|| {
        let message = "The request must contain the parameter GroupDescription";
        ApiError::client("MissingParameter", message)
    })?;
    check_text("GroupDescription", description)?;
    // botocore's EC2 model: required unless there is a default VPC, and there is none.
    let vpc_id = request.id("VpcId", &VPC)?;
    ec2.look_up(&ec2.vpcs, &VPC, vpc_id)?;
    let tags = tags::of_new(request, &SECURITY_GROUP)?;
    // botocore's EC2 model: unique in the VPC, upper and lower case alike.
    let is_taken =
        |group: &SecurityGroup| group.vpc_id == vpc_id && group.name.eq_ignore_ascii_case(name);
    if ec2.security_groups.values().any(is_taken) {
        let message = format!("The security group '{name}' already exists for VPC '{vpc_id}'");
        return Err(ApiError::client("InvalidGroup.Duplicate", message));
    }

    let id = ec2.mint(request, SECURITY_GROUP.prefix, &format!("{vpc_id}/{name}"));
    let answer = vec![
        Element::text("groupId", &id),
        tags::element(&tags),
        Element::text("securityGroupArn", arn(request, &id)),
    ];
    let new = NewSecurityGroup {
        vpc_id: vpc_id.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
        owner: request.account.to_owned(),
        tags,
    };
    ec2.insert_group(id, new, false);
    Ok(answer)
}

fn group_name<'a>(request: &'a Request<'_>) -> Result<&'a str, ApiError> {
    let name = request.params.require("GroupName")?;
    check_text("GroupName", name)?;
    if name.to_ascii_lowercase().starts_with("sg-") || name.eq_ignore_ascii_case(DEFAULT) {
        return Err(invalid_value("GroupName", name, "The name is reserved."));
    }
    Ok(name)
}

fn check_text(parameter: &str, text: &str) -> Result<(), ApiError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || SYMBOLS.contains(c);
    if !text.is_empty() && text.len() <= LENGTH_MAX && text.chars().all(is_allowed) {
        return Ok(());
    }
    let why = format!("Up to {LENGTH_MAX} letters, digits, spaces and {SYMBOLS}");
    Err(invalid_value(parameter, text, why.trim_end()))
}

/// `DeleteSecurityGroup`.
pub(super) fn delete(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    let id = request.id("GroupId", &SECURITY_GROUP)?;
    let group = ec2.look_up(&ec2.security_groups, &SECURITY_GROUP, id)?;
    if group.is_default() {
        // EC2 API reference, error codes.
        let message =
            format!("the specified group: \"{id}\" name: \"{DEFAULT}\" cannot be deleted");
        return Err(ApiError::client("CannotDelete", message));
    }
    // botocore's EC2 model, DeleteSecurityGroup.
    if ec2.is_group_in_use(id, request.now) {
        let message = format!("resource {id} has a dependent object");
        return Err(ApiError::client("DependencyViolation", message));
    }
    ec2.remove_security_group(id);
    Ok(vec![
        Element::text("return", true),
        Element::text("groupId", id),
    ])
}

/// `DescribeSecurityGroups`.
pub(super) fn describe(ec2: &mut Ec2, request: &Request<'_>) -> Result<Vec<Element>, ApiError> {
    // botocore's EC2 model: by name only in a default VPC.
    request.refuse_unmodelled(&["GroupName"])?;
    check_vpc_ids(request)?;
    // Before any group is looked up (captured: radkawar/stackd, testdata/aws/ec2/networking.json).
    if request.get("MaxResults").is_some() && request.get("GroupId.1").is_some() {
        let message = "GroupId cannot be used with MaxResults";
        return Err(ApiError::client("InvalidParameterCombination", message));
    }
    let spelling = Spelling {
        ids: "GroupId",
        set: "securityGroupInfo",
        page_limit: Some(1000),
    };
    answer(ec2, request, &ec2.security_groups, &spelling)
}

/// A filter by VPCs wants ids of VPCs (aws/aws-cli issue 7137; kubernetes-sigs/
/// aws-load-balancer-controller issue 3352, with CloudTrail's record).
fn check_vpc_ids(request: &Request<'_>) -> Result<(), ApiError> {
    let filters = request.params.structures("Filter").into_iter();
    for filter in filters.filter(|filter| filter.get("Name") == Some("vpc-id")) {
        let values = filter.list("Value");
        let has_wildcard = |value: &str| value.contains(['*', '?']);
        let is_wrong = |value: &&str| !has_wildcard(value) && VPC.check_form(value).is_err();
        if values.iter().any(is_wrong) {
            return Err(ApiError::client("InvalidParameterValue", "vpc-id"));
        }
    }
    Ok(())
}

fn arn(request: &Request<'_>, id: &str) -> String {
    request.arn(&format!("security-group/{id}"))
}

impl Resource for SecurityGroup {
    const KIND: Kind = SECURITY_GROUP;
    const FILTERS: &'static [&'static str] = &[
        "description",
        "egress.ip-permission.cidr",
        "egress.ip-permission.from-port",
        "egress.ip-permission.group-id",
        "egress.ip-permission.group-name",
        "egress.ip-permission.ipv6-cidr",
        "egress.ip-permission.prefix-list-id",
        "egress.ip-permission.protocol",
        "egress.ip-permission.to-port",
        "egress.ip-permission.user-id",
        "group-id",
        "group-name",
        "ip-permission.cidr",
        "ip-permission.from-port",
        "ip-permission.group-id",
        "ip-permission.group-name",
        "ip-permission.ipv6-cidr",
        "ip-permission.prefix-list-id",
        "ip-permission.protocol",
        "ip-permission.to-port",
        "ip-permission.user-id",
        "owner-id",
        "vpc-id",
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }

    fn attribute(&self, name: &str, ec2: &Ec2, _: &Request<'_>) -> Vec<String> {
        let value = match name {
            "description" => self.description.clone(),
            "egress.ip-permission.cidr" => return self.egress(false),
            "egress.ip-permission.group-id" => return self.egress(true),
            "egress.ip-permission.protocol" if !self.egress_to.is_empty() => "-1".to_owned(),
            "group-id" => self.id.clone(),
            "group-name" => self.name.clone(),
            "ip-permission.group-id" => return self.ingress_from.clone(),
            "ip-permission.group-name" => {
                let groups = self.ingress_from.iter();
                let known = groups.filter_map(|id| ec2.security_groups.get(id));
                return known.map(|group| group.name.clone()).collect();
            }
            "ip-permission.protocol" if !self.ingress_from.is_empty() => "-1".to_owned(),
            "owner-id" => self.owner.clone(),
            "vpc-id" => self.vpc_id.clone(),
            _ => return Vec::new(),
        };
        vec![value]
    }

    fn content(&self, _: &Ec2, request: &Request<'_>) -> Vec<Element> {
        let pairs = (self.ingress_from.iter()).map(|id| {
            vec![
                Element::text("userId", &self.owner),
                Element::text("groupId", id),
            ]
        });
        let ingress = vec![
            Element::text("ipProtocol", "-1"),
            Element::list("groups", "item", pairs),
            Element::new("ipRanges"),
            Element::new("ipv6Ranges"),
            Element::new("prefixListIds"),
        ];
        let has_ingress = !self.ingress_from.is_empty();
        let groups = self.egress(true).into_iter().map(|id| {
            vec![
                Element::text("userId", &self.owner),
                Element::text("groupId", id),
            ]
        });
        let blocks = self.egress(false).into_iter();
        let blocks = blocks.map(|block| vec![Element::text("cidrIp", block)]);
        let egress = vec![
            Element::text("ipProtocol", "-1"),
            Element::list("groups", "item", groups),
            Element::list("ipRanges", "item", blocks),
            Element::new("ipv6Ranges"),
            Element::new("prefixListIds"),
        ];
        let has_egress = !self.egress_to.is_empty();
        let mut content = vec![
            Element::text("groupId", &self.id),
            Element::text("groupName", &self.name),
            Element::text("groupDescription", &self.description),
            Element::text("ownerId", &self.owner),
            Element::text("vpcId", &self.vpc_id),
            Element::text("securityGroupArn", arn(request, &self.id)),
            Element::list("ipPermissions", "item", has_ingress.then_some(ingress)),
            Element::list("ipPermissionsEgress", "item", has_egress.then_some(egress)),
        ];
        // A group without tags has no set of them (captured: radkawar/stackd,
        // testdata/aws/ec2/networking.json).
        if !self.tags.is_empty() {
            content.push(tags::element(&self.tags));
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::error::ProvideErrorMetadata;
    use aws_sdk_ec2::types::Filter;

    use crate::Seed;
    use crate::ec2::testing::{ACCOUNT, World, code};
    use crate::ec2::{NewInterface, NewSecurityGroup};

    #[tokio::test(start_paused = true)]
    async fn default_group_comes_with_the_vpc_and_cannot_be_deleted() {
        let world = World::new();
        let vpc = world.vpc().await;
        let filter = Filter::builder().name("vpc-id").values(&vpc).build();
        let call = world.ec2.describe_security_groups().filters(filter).send();
        let groups = call.await.unwrap().security_groups.unwrap();
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].group_name.as_deref(), Some("default"));
        let id = groups[0].group_id.as_deref().unwrap();
        let delete = world.ec2.delete_security_group().group_id(id).send();
        assert_eq!(code(delete.await), "CannotDelete");
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_unique_in_a_vpc() {
        let world = World::new();
        let (vpc, other) = (world.vpc().await, world.vpc().await);
        let create = |vpc: &str, name: &str| {
            let call = world.ec2.create_security_group().vpc_id(vpc);
            call.group_name(name).description("d").send()
        };
        create(&vpc, "web").await.unwrap();
        assert_eq!(code(create(&vpc, "Web").await), "InvalidGroup.Duplicate");
        create(&other, "web").await.unwrap();
        for reserved in ["sg-web", "default"] {
            assert_eq!(code(create(&vpc, reserved).await), "InvalidParameterValue");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn group_in_use_cannot_be_deleted() {
        let world = World::new();
        let vpc = world.vpc().await;
        let subnet = world.subnet(&vpc, "10.0.0.0/24").await;
        let (mut group, mut interface) = (String::new(), String::new());
        world.change(|ec2| {
            let new = NewSecurityGroup {
                vpc_id: vpc.clone(),
                name: "eks-cluster-sg-demo".into(),
                owner: ACCOUNT.into(),
                ..Default::default()
            };
            group = ec2.add_security_group(Seed(1), new);
            let new = NewInterface {
                subnet_id: subnet.clone(),
                security_groups: vec![group.clone()],
                ..Default::default()
            };
            interface = ec2.add_interface(Seed(1), new);
        });
        let delete = || world.ec2.delete_security_group().group_id(&group).send();
        assert_eq!(code(delete().await), "DependencyViolation");
        world.change(|ec2| ec2.remove_interface(&interface));
        delete().await.unwrap();
        assert_eq!(code(delete().await), "InvalidGroup.NotFound");
    }
    #[tokio::test(start_paused = true)]
    async fn group_that_another_one_lets_in_cannot_be_deleted() {
        let world = World::new();
        let vpc = world.vpc().await;
        let create = |name: &str| {
            let call = world.ec2.create_security_group().vpc_id(&vpc);
            call.group_name(name).description("d").send()
        };
        let group = create("web").await.unwrap().group_id.unwrap();
        let other = create("database").await.unwrap().group_id.unwrap();
        world.change(|ec2| {
            let other = ec2.security_groups.get_mut(&other).unwrap();
            other.ingress_from.push(group.clone());
        });
        let delete = |id: &str| world.ec2.delete_security_group().group_id(id).send();
        assert_eq!(code(delete(&group).await), "DependencyViolation");
        delete(&other).await.unwrap();
        delete(&group).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn groups_are_asked_for_as_at_aws() {
        let world = World::new();
        let vpc = world.vpc().await;
        let describe = || world.ec2.describe_security_groups();
        let by_vpc = |value: &str| {
            let filter = Filter::builder().name("vpc-id").values(value).build();
            describe().filters(filter).send()
        };
        for wrong in ["x", "", "subnet-0123456789abcdef0"] {
            assert_eq!(code(by_vpc(wrong).await), "InvalidParameterValue");
        }
        let found = by_vpc(&vpc).await.unwrap().security_groups.unwrap();
        let group = &found[0];
        for rule in [
            &group.ip_permissions()[0],
            &group.ip_permissions_egress()[0],
        ] {
            assert!(rule.prefix_list_ids.is_some() && rule.ipv6_ranges.is_some());
        }
        assert_eq!(group.tags, None);
        let missing = || describe().group_ids("sg-0123456789abcdef0");
        let both = missing().max_results(5).send().await;
        assert_eq!(code(both), "InvalidParameterCombination");
        let refused = missing().send().await;
        let message = refused.as_ref().unwrap_err().meta().message();
        let expected = "The security group 'sg-0123456789abcdef0' does not exist";
        assert_eq!(message, Some(expected));
        let create = world.ec2.create_security_group().vpc_id(&vpc);
        let empty = create.group_name("a").description("").send().await;
        assert_eq!(code(empty), "MissingParameter");
    }
}

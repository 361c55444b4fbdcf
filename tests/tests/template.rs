//! Rules that the SAM template keeps: one function for each binary, each with a role of its own and no
//! more than its step calls.

use std::collections::BTreeSet;

use functions::model::Plan;
use functions::registry::{Change, Finding, Told, event};
use serde_json::{Value, json};
use tests::template::{functions, policies, read, template};
use tests::{project, world};

#[test]
fn every_crate_has_its_function_with_code_of_its_own() {
    for (name, function) in functions() {
        let code = function["CodeUri"].as_str().unwrap();
        assert!(
            code.contains(&format!("target/lambda/{name}/")),
            "{name}: {code}"
        );
        let policies = function["Policies"].as_array();
        assert!(
            policies.is_some_and(|p| !p.is_empty()),
            "{name} has no policy beside it"
        );
        assert!(function.get("Role").is_none(), "{name} shares a role");
    }
}

#[test]
fn functions_run_on_al2023_with_tracing_in_one_log_group_with_retention() {
    let template = template();
    let globals = &template["Globals"]["Function"];
    assert_eq!(globals["Runtime"], "provided.al2023");
    assert_eq!(globals["Tracing"], "Active");
    assert_eq!(template["Parameters"]["Architecture"]["Default"], "arm64");
    assert!(
        globals["LoggingConfig"]["LogGroup"].is_object(),
        "{globals:#}"
    );
    for (id, resource) in template["Resources"].as_object().unwrap() {
        if resource["Type"] == "AWS::Logs::LogGroup" {
            assert!(
                resource["Properties"].get("RetentionInDays").is_some(),
                "{id}"
            );
        }
    }
}

#[test]
fn no_policy_allows_whole_services() {
    for (name, actions) in policies() {
        assert!(!actions.is_empty(), "{name}");
        for action in actions {
            // Everything that EC2 tells, in one word: a session's policy has little room.
            let is_whole = action.contains('*') && action != "ec2:Describe*";
            assert!(!is_whole, "{name} may {action}");
        }
    }
}

#[test]
fn roles_are_passed_to_one_service_only() {
    for (name, function) in functions() {
        let text = function["Policies"].to_string();
        for needed in [
            ("iam:PassRole", "iam:PassedToService"),
            ("iam:CreateServiceLinkedRole", "iam:AWSServiceName"),
        ] {
            if text.contains(needed.0) {
                assert!(
                    text.contains(needed.1),
                    "{name}: {} without {}",
                    needed.0,
                    needed.1
                );
            }
        }
    }
}

#[test]
fn no_account_id_and_no_partition_is_written_out() {
    let policies = policies()
        .into_keys()
        .map(|name| project::policy_file(&name));
    let files = [
        "infra/template.yaml",
        "infra/member-role.yaml",
        "statemachine/provision.asl.json",
        "statemachine/teardown.asl.json",
    ];
    let files = files.map(ToOwned::to_owned).into_iter().chain(policies);
    for file in files.filter(|file| project::root().join(file).exists()) {
        let text = project::read(&file);
        let digits = |word: &str| word.len() == 12 && word.bytes().all(|b| b.is_ascii_digit());
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
        assert!(!words.any(digits), "{file}");
        assert!(!text.contains("arn:aws"), "{file}");
    }
}

#[test]
fn each_state_machine_gets_what_its_definition_names_and_logs_everything() {
    let template = template();
    for (id, file) in [
        ("ProvisionStateMachine", "provision"),
        ("TeardownStateMachine", "teardown"),
        ("FleetStateMachine", "fleet"),
        ("CheckStateMachine", "check"),
    ] {
        let machine = &template["Resources"][id]["Properties"];
        let definition = project::read(&format!("statemachine/{file}.asl.json"));
        let substitutions = machine["DefinitionSubstitutions"].as_object().unwrap();
        let given: BTreeSet<&str> = substitutions.keys().map(String::as_str).collect();
        assert_eq!(given, placeholders(&definition), "{id}");
        assert_eq!(machine["Logging"]["Level"], "ALL", "{id}");
        assert_eq!(machine["Tracing"]["Enabled"], true, "{id}");
        assert_eq!(
            machine["DefinitionUri"],
            format!("../statemachine/{file}.asl.json")
        );
    }
}

#[test]
fn each_state_machine_may_invoke_the_functions_of_its_definition_and_no_others() {
    let template = template();
    for id in [
        "ProvisionStateMachine",
        "TeardownStateMachine",
        "FleetStateMachine",
        "CheckStateMachine",
    ] {
        let machine = &template["Resources"][id]["Properties"];
        let substitutions = machine["DefinitionSubstitutions"].as_object().unwrap();
        let named: BTreeSet<&str> = substitutions
            .values()
            .filter_map(|value| value["!GetAtt"].as_str())
            .collect();
        assert!(!named.is_empty(), "{id}");
        let role = machine["Role"]["!GetAtt"].as_str().unwrap();
        let role = role.strip_suffix(".Arn").unwrap();
        let role = &template["Resources"][role]["Properties"];
        let policy = &role["Policies"][0]["PolicyDocument"];
        let statements = policy["Statement"].as_array().unwrap();
        let invoke = statements
            .iter()
            .find(|it| it["Action"] == "lambda:InvokeFunction");
        let allowed: BTreeSet<&str> = invoke.unwrap()["Resource"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arn| arn["!GetAtt"].as_str().unwrap())
            .collect();
        assert_eq!(allowed, named, "{id}");
    }
}

/// A managed policy is in no role that it is not made for.
#[test]
fn the_stacks_policies_are_those_of_state_machines_and_of_functions_that_enter_accounts() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let policies = of_type("AWS::IAM::ManagedPolicy");
    let ids: Vec<&str> = policies.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["MachineLogsPolicy", "AssumeMemberRolePolicy"]);
    for (id, policy) in &policies {
        assert_eq!(policy["Path"], json!({"!Ref": "RolePath"}), "{id}");
        for named in ["Roles", "Users", "Groups", "ManagedPolicyName"] {
            assert!(policy.get(named).is_none(), "{id} has {named}");
        }
    }
    let logs = json!([{"!Ref": "MachineLogsPolicy"}]);
    let of_machines = of_type("AWS::Serverless::StateMachine").into_iter();
    let of_machines: BTreeSet<String> = of_machines
        .map(|(_, machine)| machine["Role"]["!GetAtt"].as_str().unwrap().to_owned())
        .collect();
    for (id, role) in of_type("AWS::IAM::Role") {
        let expected = of_machines.contains(&format!("{id}.Arn"));
        let attached = role.get("ManagedPolicyArns");
        assert_eq!(attached, expected.then_some(&logs), "{id}");
    }
    for (id, function) in of_type("AWS::Serverless::Function") {
        let referred = function["Policies"].as_array().unwrap().iter();
        let referred: Vec<_> = referred.filter(|it| it.get("!Ref").is_some()).collect();
        let assume = json!({"!Ref": "AssumeMemberRolePolicy"});
        assert!(referred.iter().all(|it| **it == assume), "{id}");
    }
    assert!(
        resources
            .values()
            .all(|it| it["Type"] != "AWS::IAM::Policy")
    );
}

/// What the security of other roles rests on: hardway's own are somewhere else, and only the stack's own
/// machines and schedules assume theirs.
#[test]
fn every_role_of_the_stack_has_its_path_its_boundary_and_a_trust_of_one_source() {
    let template = template();
    let own = |properties: &Value, path: &str| {
        assert_eq!(properties[path], json!({"!Ref": "RolePath"}));
        let boundary = &properties["PermissionsBoundary"]["!If"];
        assert_eq!(boundary[0], "HasPermissionsBoundary");
        assert_eq!(boundary[1], json!({"!Ref": "PermissionsBoundaryArn"}));
    };
    own(&template["Globals"]["Function"], "RolePath");
    for (id, resource) in template["Resources"].as_object().unwrap() {
        let properties = &resource["Properties"];
        match resource["Type"].as_str().unwrap() {
            "AWS::IAM::Role" => own(properties, "Path"),
            "AWS::Serverless::Function" => {
                for member in ["Role", "RolePath", "PermissionsBoundary"] {
                    assert!(
                        properties.get(member).is_none(),
                        "{id} has another {member}"
                    );
                }
                continue;
            }
            "AWS::Serverless::StateMachine" => {
                assert!(properties["Role"].is_object(), "{id} has a role of SAM's");
                continue;
            }
            _ => continue,
        }
        let trust = &properties["AssumeRolePolicyDocument"]["Statement"];
        let condition = &trust[0]["Condition"];
        let account = json!({"!Ref": "AWS::AccountId"});
        assert_eq!(
            condition["StringEquals"]["aws:SourceAccount"], account,
            "{id}"
        );
        if trust[0]["Principal"]["Service"] == "states.amazonaws.com" {
            let source = condition["ArnLike"]["aws:SourceArn"]["!Sub"].as_str();
            assert!(
                source.is_some_and(|arn| arn.contains(":stateMachine:${AWS::StackName}-")),
                "{id}"
            );
        } else {
            // EventBridge Scheduler says the group, and no schedule (its user guide, confused deputy
            // prevention). Schedules that name none are in this one.
            let group = "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:\
                         schedule-group/default";
            let source = &condition["StringEquals"]["aws:SourceArn"];
            assert_eq!(*source, json!({"!Sub": group}), "{id}");
        }
    }
    for (id, schedule) in of_type("AWS::Scheduler::Schedule") {
        assert!(schedule["Properties"].get("GroupName").is_none(), "{id}");
    }
    let path = template["Parameters"]["RolePath"]["Default"].as_str();
    assert_eq!(path, Some("/hardway/"));
}

#[test]
fn the_functions_enter_accounts_by_one_role_of_the_organization() {
    let parameters = &template()["Parameters"];
    assert_eq!(
        parameters["MemberRoleName"]["Default"],
        functions::model::target::MEMBER_ROLE_NAME
    );
    let organization = &parameters["OrganizationId"]["Default"];
    assert_eq!(organization, "${aws:PrincipalOrgID}");
    let mut assuming = BTreeSet::new();
    for (name, function) in functions() {
        let statements = function["Policies"][0]["Statement"].as_array().unwrap();
        let assume = statements
            .iter()
            .find(|it| it["Action"] == "sts:AssumeRole");
        let Some(assume) = assume else { continue };
        let condition = &assume["Condition"]["!If"];
        assert_eq!(condition[0], "IsAnyOrganization", "{name}");
        let wanted = json!({"StringEquals": {"aws:ResourceOrgID": {"!Ref": "OrganizationId"}}});
        assert_eq!(condition[2], wanted, "{name}");
        assuming.insert(format!("{}Role.Arn", world::logical_id(&name)));
    }
    let output = &template()["Outputs"]["FunctionRoleArns"]["Value"]["!Join"][1];
    let output = output.as_array().unwrap().iter();
    let output: BTreeSet<String> = output
        .map(|arn| arn["!GetAtt"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(output, assuming);
}

/// What is in no machine is invoked by events.
#[test]
fn every_function_is_in_a_state_machine_or_has_events() {
    let definitions = ["provision", "teardown", "fleet", "check"]
        .map(|file| project::read(&format!("statemachine/{file}.asl.json")))
        .concat();
    let used = placeholders(&definitions);
    for (name, function) in functions() {
        let arn = format!("{}Arn", world::logical_id(&name));
        assert!(
            used.contains(arn.as_str()) != function["Events"].is_object(),
            "{name}"
        );
    }
}

/// Nothing of an event may be lost: neither what EventBridge cannot deliver nor what the function
/// refuses.
#[test]
fn events_that_cannot_be_handled_are_kept_and_somebody_is_told() {
    let template = template();
    let resources = &template["Resources"];
    let queue = json!({"!GetAtt": "AccountEventsQueue.Arn"});
    let function = &resources["AccountCreatedFunction"]["Properties"];
    let destination = &function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"];
    assert_eq!(destination["Destination"], queue);
    let rules = function["Events"].as_object().unwrap();
    for (name, rule) in rules {
        let rule = &rule["Properties"];
        assert_eq!(rule["DeadLetterConfig"]["Arn"], queue, "{name}");
        assert_eq!(rule["RetryPolicy"]["MaximumRetryAttempts"], 185, "{name}");
    }
    let policy = resources["AccountEventsQueuePolicy"].to_string();
    for name in rules.keys() {
        assert!(
            policy.contains(&format!("AccountCreatedFunction{name}.Arn")),
            "{name} may not send to the queue"
        );
    }
    let queue = &resources["AccountEventsQueue"]["Properties"];
    assert_eq!(queue["MessageRetentionPeriod"], 14 * 24 * 3600);
    assert_eq!(queue["SqsManagedSseEnabled"], true);
}

/// Whoever deploys hardway has not asked for clusters in new accounts yet.
#[test]
fn the_default_policy_builds_nothing_and_needs_one_word_to_do_so() {
    let template = template();
    let default = &template["Parameters"]["NewAccountsPolicy"]["Default"];
    let mut policy: Value = serde_json::from_str(default.as_str().unwrap()).unwrap();
    assert_eq!(policy["enabled"], false);
    policy["enabled"] = json!(true);
    assert_eq!(
        policy,
        project::read_json("statemachine/examples/policies/minimal.json")
    );
}

/// What a fleet reads and writes is the organization's own business.
#[test]
fn buckets_are_private_encrypted_and_empty_themselves() {
    let template = template();
    let mut buckets = template["Resources"].as_object().unwrap().clone();
    buckets.retain(|_, resource| resource["Type"] == "AWS::S3::Bucket");
    assert!(!buckets.is_empty());
    for (id, bucket) in buckets {
        let properties = &bucket["Properties"];
        let access = properties["PublicAccessBlockConfiguration"].as_object();
        let access = access.unwrap_or_else(|| panic!("{id}"));
        assert_eq!(access.len(), 4, "{id}");
        assert!(access.values().all(|blocked| blocked == true), "{id}");
        assert!(properties["BucketEncryption"].is_object(), "{id}");
        let rules = properties["LifecycleConfiguration"]["Rules"].as_array();
        let expires = |rule: &serde_json::Value| rule["ExpirationInDays"].is_u64();
        assert!(rules.is_some_and(|rules| rules.iter().any(expires)), "{id}");
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            assert_eq!(bucket[policy], "Retain", "{id}");
        }
    }
}

/// A mail is made of an event by its rule: each says what the other has.
#[test]
fn mails_say_what_is_in_the_events() {
    let told = Told {
        id: "no-nat-route".to_owned(),
        severity: "error".to_owned(),
        resource: "rtb-1".to_owned(),
        since: "2026-11-24T10:00:00.000Z".to_owned(),
    };
    let finding = Finding {
        id: told.id.clone(),
        severity: told.severity.clone(),
        resource: told.resource.clone(),
        seen: "seen".to_owned(),
        expected: "expected".to_owned(),
        fix: "fix".to_owned(),
    };
    let template = template();
    for (id, change) in [
        (
            "FindingAppearedRule",
            Change::Appeared(told.clone(), finding),
        ),
        ("FindingResolvedRule", Change::Resolved(told)),
    ] {
        let event = event::of(&Plan::example().target, &change, "default");
        let rule = &template["Resources"][id]["Properties"];
        assert_eq!(rule["EventPattern"]["source"], json!([event["Source"]]));
        assert_eq!(
            rule["EventPattern"]["detail-type"],
            json!([event["DetailType"]])
        );
        assert_eq!(rule["EventBusName"]["!Ref"], "EventBusName");
        let transformer = &rule["Targets"][0]["InputTransformer"];
        let mail = transformer["InputTemplate"].as_str().unwrap();
        let used: BTreeSet<&str> = mail
            .split('<')
            .skip(1)
            .filter_map(|part| part.split('>').next())
            .collect();
        let paths = transformer["InputPathsMap"].as_object().unwrap();
        let given: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
        assert_eq!(used, given, "{id}");
        for (name, path) in paths {
            let path = path.as_str().unwrap().strip_prefix("$.detail.").unwrap();
            let value = event["Detail"].pointer(&format!("/{}", path.replace('.', "/")));
            assert!(
                value.is_some_and(Value::is_string),
                "{id}: {name} is {path}"
            );
        }
        // EventBridge takes text only in quotation marks, line by line.
        let is_quoted = |line: &str| line.starts_with('"') && line.ends_with('"');
        assert!(mail.lines().all(is_quoted), "{mail}");
    }
}

#[test]
fn schedules_are_off_unless_a_rate_is_given() {
    let template = template();
    for (parameter, condition, ids) in [
        (
            "CheckSchedule",
            "IsScheduled",
            ["ScheduledCheck", "ScheduledCheckRole"],
        ),
        (
            "ReconcileSchedule",
            "IsReconciled",
            ["ScheduledReconciliation", "ScheduledReconciliationRole"],
        ),
    ] {
        assert_eq!(template["Parameters"][parameter]["Default"], "");
        for id in ids {
            assert_eq!(template["Resources"][id]["Condition"], condition);
        }
    }
    let target = &template["Resources"]["ScheduledReconciliation"]["Properties"]["Target"];
    let input: Value = serde_json::from_str(target["Input"].as_str().unwrap()).unwrap();
    assert_eq!(input, json!({"action": "reconcile"}));
}

/// EventBridge's guide: a topic's policy cannot have a condition for it. CloudWatch's can.
#[test]
fn rules_and_alarms_may_publish_to_the_topic() {
    let template = template();
    let policy = &template["Resources"]["NotificationsTopicPolicy"]["Properties"];
    let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
    let services: Vec<_> = statements
        .iter()
        .map(|it| {
            (
                it["Principal"]["Service"].as_str().unwrap(),
                &it["Condition"],
            )
        })
        .collect();
    let own = json!({"StringEquals": {"aws:SourceAccount": {"!Ref": "AWS::AccountId"}}});
    assert_eq!(
        services,
        [
            ("events.amazonaws.com", &Value::Null),
            ("cloudwatch.amazonaws.com", &own)
        ]
    );
    for statement in statements {
        assert_eq!(statement["Action"], "sns:Publish");
        assert_eq!(statement["Resource"]["!Ref"], "NotificationsTopic");
    }
}

/// Resources of a type, by their ids.
fn of_type(kind: &str) -> Vec<(String, Value)> {
    let template = template();
    let resources = template["Resources"].as_object().unwrap().iter();
    let found: Vec<_> = resources
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(id, resource)| (id.clone(), resource["Properties"].clone()))
        .collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

#[test]
fn undeliverable_events_are_kept() {
    let kept = json!({"!GetAtt": "UndeliveredQueue.Arn"});
    let template = template();
    let policy = template["Resources"]["UndeliveredQueuePolicy"].to_string();
    for (id, rule) in of_type("AWS::Events::Rule") {
        for target in rule["Targets"].as_array().unwrap() {
            assert_eq!(target["DeadLetterConfig"]["Arn"], kept, "{id}");
        }
        assert!(policy.contains(&format!("{id}.Arn")), "{id} may not send");
    }
    for (id, schedule) in of_type("AWS::Scheduler::Schedule") {
        let target = &schedule["Target"];
        assert_eq!(target["DeadLetterConfig"]["Arn"], kept, "{id}");
        let role = target["RoleArn"]["!GetAtt"].as_str().unwrap();
        let role = role.strip_suffix(".Arn").unwrap();
        let policies = &template["Resources"][role]["Properties"]["Policies"];
        let statements = policies[0]["PolicyDocument"]["Statement"].as_array();
        let may_send = |it: &Value| it["Action"] == "sqs:SendMessage" && it["Resource"] == kept;
        assert!(statements.unwrap().iter().any(may_send), "{id}");
    }
}

#[test]
fn every_alarm_notifies_and_every_queue_has_an_alarm() {
    let alarms = of_type("AWS::CloudWatch::Alarm");
    for (id, alarm) in &alarms {
        let topic = json!([{"!Ref": "NotificationsTopic"}]);
        assert_eq!(alarm["AlarmActions"], topic, "{id}");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{id}");
        assert_eq!(alarm["Threshold"], 0, "{id}");
    }
    let watched = |metric: &str, dimension: &str| {
        let is_it = |(_, alarm): &&(String, Value)| {
            alarm["MetricName"] == metric && alarm["Dimensions"].to_string().contains(dimension)
        };
        alarms.iter().filter(is_it).count()
    };
    for (id, _) in of_type("AWS::SQS::Queue") {
        let dimension = format!("{id}.QueueName");
        let metric = "ApproximateNumberOfMessagesVisible";
        assert_eq!(watched(metric, &dimension), 1, "{id}");
    }
    for metric in ["Errors", "DestinationDeliveryFailures"] {
        assert_eq!(watched(metric, "AccountCreatedFunction"), 1, "{metric}");
    }
    assert_eq!(watched("Throttles", ""), 1);
}

#[test]
fn every_failed_execution_notifies() {
    let template = template();
    let rule = &template["Resources"]["FailedExecutionsRule"]["Properties"];
    // Events of services come to the default bus.
    assert!(rule.get("EventBusName").is_none());
    let pattern = &rule["EventPattern"];
    assert_eq!(pattern["source"], json!(["aws.states"]));
    let detail = &pattern["detail"];
    assert_eq!(detail["status"], json!(["FAILED", "TIMED_OUT", "ABORTED"]));
    let machines = of_type("AWS::Serverless::StateMachine");
    let machines: Vec<Value> = machines.iter().map(|(id, _)| json!({"!Ref": id})).collect();
    assert_eq!(detail["stateMachineArn"], json!(machines));

    // Step Functions developer guide, Step Functions events.
    let event = json!({
        "account": "111122223333",
        "region": "us-east-1",
        "detail": {
            "executionArn": "arn:aws:states:us-east-1:111122223333:execution:hardway-provision:x",
            "stateMachineArn": "arn:aws:states:us-east-1:111122223333:stateMachine:hardway-provision",
            "name": "x",
            "status": "FAILED",
        },
    });
    let transformer = &rule["Targets"][0]["InputTransformer"];
    let mut mail = transformer["InputTemplate"].as_str().unwrap().to_owned();
    for (name, path) in transformer["InputPathsMap"].as_object().unwrap() {
        let pointer = path
            .as_str()
            .unwrap()
            .replacen('$', "", 1)
            .replace('.', "/");
        let value = event.pointer(&pointer).unwrap().as_str().unwrap();
        assert!(mail.contains(&format!("<{name}>")), "{name}");
        mail = mail.replace(&format!("<{name}>"), value);
    }
    assert!(!mail.contains('<'), "{mail}");
    let is_quoted = |line: &str| line.len() > 2 && line.starts_with('"') && line.ends_with('"');
    assert!(mail.lines().all(is_quoted), "{mail}");
    assert!(mail.contains("execution x is FAILED"), "{mail}");
}

/// What cannot be right is refused when it is deployed, not when it is used.
#[test]
fn parameters_that_cannot_be_right_are_refused_at_deployment() {
    let template = template();
    for (parameter, right, wrong) in [
        (
            "NewAccountsPolicy",
            &[
                r#"{"enabled": false, "input": {"clusterName": "main"}}"#,
                "{\n  \"enabled\": true,\n  \"input\": {\n    \"clusterName\": \"main\"\n  }\n}\n",
            ][..],
            // What command lines make of it.
            &[
                "",
                "{",
                "{}",
                "{enabled: true}",
                "{enabled:true,input:{clusterName:main}}",
                "policy.json",
                r#"{"enabled"}"#,
                r#"{"enabled": true, "input": main}"#,
            ][..],
        ),
        (
            "CheckSchedule",
            &["", "rate(1 hour)", "rate(30 minutes)", "cron(0 6 * * ? *)"],
            &[
                "1 hour",
                "rate(1",
                "rate(0 hours)",
                "rate(1 week)",
                "cron(0 6 * * *)",
                "hourly",
            ],
        ),
        (
            "ReconcileSchedule",
            &["", "rate(1 day)", "cron(0 6 * * ? *)"],
            &["daily", "rate(1)", "rate()"],
        ),
        (
            "NotificationEmail",
            &["", "platform@example.com", "a.b+c@mail.example.org"],
            &[
                "platform",
                "platform@",
                "a@b.example, c@d.example",
                "arn:aws:sns:us-east-1:1:x",
            ],
        ),
        (
            "EventBusName",
            &["default", "team/bus.a_b-c"],
            &["", "arn:aws:events:us-east-1:1:event-bus/x", "a b"],
        ),
        (
            "MemberRoleName",
            &[
                "HardwayMember",
                "OrganizationAccountAccessRole",
                "platform/Hardway",
            ],
            &[
                "*",
                "Hardway*",
                "Hardway?",
                "/HardwayMember",
                "a//b",
                "a/",
                "",
            ],
        ),
        (
            "OrganizationId",
            &["${aws:PrincipalOrgID}", "o-a1b2c3d4e5", "any"],
            &["*", "o-*", "o-abc", "", "r-abcd"],
        ),
        (
            "RolePath",
            &["/", "/hardway/", "/a/b/"],
            &["", "hardway", "/hardway", "hardway/", "//", "/*/"],
        ),
        (
            "ClusterRolePath",
            &["/", "/platform/"],
            &["", "platform/", "/*/"],
        ),
        (
            "RoleNamePrefix",
            &["hardway-", "platform_eks."],
            &["", "*", "a/b", "a b", "ppppppppppppppppppppppppppppppppp"],
        ),
        (
            "PermissionsBoundaryArn",
            &["", "arn:aws:iam::111122223333:policy/path/Limit"],
            &["Limit", "arn:aws:iam::111122223333:role/Limit", "*"],
        ),
    ] {
        let declared = &template["Parameters"][parameter];
        let pattern = declared["AllowedPattern"].as_str().unwrap();
        for value in right {
            assert!(is_allowed(pattern, value), "{parameter}: {value}");
        }
        for value in wrong {
            assert!(!is_allowed(pattern, value), "{parameter}: {value}");
        }
        let default = declared["Default"].as_str().unwrap();
        assert!(is_allowed(pattern, default), "{parameter}: {default}");
        assert!(declared["ConstraintDescription"].is_string(), "{parameter}");
    }
}

/// The input's `iam.path` refuses them, too.
#[test]
fn paths_that_only_aws_may_use_are_refused_at_deployment() {
    let member = read("infra/member-role.yaml");
    let template = template();
    for parameter in ["RolePath", "ClusterRolePath"] {
        let pattern = &template["Parameters"][parameter]["AllowedPattern"];
        let pattern = pattern.as_str().unwrap();
        for path in [
            "/aws-service-role/",
            "/aws-service-role/x/",
            "/aws-reserved/x/",
        ] {
            assert!(!is_allowed(pattern, path), "{parameter}: {path}");
        }
        for path in ["/aws-service/", "/aws-reserved-x/", "/x/aws-reserved/"] {
            assert!(is_allowed(pattern, path), "{parameter}: {path}");
        }
    }
    // The member role has to take what the stack takes.
    for parameter in ["ClusterRolePath", "RoleNamePrefix"] {
        for member_of in ["Default", "AllowedPattern", "MaxLength"] {
            assert_eq!(
                member["Parameters"][parameter][member_of],
                template["Parameters"][parameter][member_of],
                "{parameter}: {member_of}"
            );
        }
    }
}

/// CloudFormation wants the whole value to match. A pattern may begin with what a value must not begin
/// with, which this library does not know.
fn is_allowed(pattern: &str, value: &str) -> bool {
    let is_match = |pattern: &str| regex_lite::Regex::new(pattern).unwrap().is_match(value);
    let parts = pattern.strip_prefix("(?!");
    match parts.and_then(|it| it.split_once(")/(")) {
        Some((not, rest)) => !is_match(&format!("^(?:{not})")) && is_match(&format!("^/({rest}$")),
        None => is_match(&format!("^(?:{pattern})$")),
    }
}

/// The names in `${…}`.
fn placeholders(text: &str) -> BTreeSet<&str> {
    let parts = text.split("${").skip(1);
    parts.filter_map(|part| part.split('}').next()).collect()
}

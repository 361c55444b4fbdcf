//! The questions, in the order in which they are asked: the cheapest first.

use serde::Serialize;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Question {
    /// It never changes.
    pub id: &'static str,
    pub asks: &'static str,
    /// How it is asked, and what that makes.
    pub how: &'static str,
    pub belief: &'static str,
    /// Why it is never asked here, if it is not.
    #[serde(skip)]
    pub never: Option<&'static str>,
}

const fn question(
    id: &'static str,
    asks: &'static str,
    how: &'static str,
    belief: &'static str,
) -> Question {
    Question {
        id,
        asks,
        how,
        belief,
        never: None,
    }
}

pub(in super::super) const CATALOGUE: &[Question] = &[
    question(
        "absent-service-linked-role",
        "By which ARN does IAM authorise GetRole of a service-linked role that is not there yet?",
        "A role of its own, assumed with a session policy that allows GetRole on one ARN only: with the role's path, then without",
        "by the ARN without a path: the one with it is AccessDenied, the one without it NoSuchEntity",
    ),
    question(
        "session-policy-size",
        "Does STS take the largest session policy of hardway's functions?",
        "AssumeRole of the same role with it",
        "yes, with room to spare",
    ),
    question(
        "subnet-state",
        "In which state is a subnet when CreateSubnet answers?",
        "A subnet in a VPC of its own",
        "available or pending; hardway waits for the former",
    ),
    question(
        "block-public-access-states",
        "Does DescribeVpcs say whether public access is blocked?",
        "The same VPC",
        "yes, in blockPublicAccessStates",
    ),
    question(
        "route-after-attach",
        "Can a route lead to an internet gateway right after it was attached?",
        "A gateway and a route table in the same VPC",
        "yes, or InvalidParameterValue that says `belong to different networks` for moments",
    ),
    question(
        "identical-route",
        "What does CreateRoute say of a route that is there already?",
        "The same route again",
        "it succeeds; RouteAlreadyExists is for another target only",
    ),
    question(
        "replace-missing-route",
        "What does ReplaceRoute say of a route that is not there?",
        "After DeleteRoute in the same table",
        "InvalidParameterValue: There is no route defined for the destination",
    ),
    question(
        "token-of-deleted-route-table",
        "What does CreateRouteTable say of the client token of a table that was deleted?",
        "The same request before and after DeleteRouteTable",
        "IdempotentParameterMismatch",
    ),
    question(
        "events-to-the-topic",
        "Does an event reach the topic, and by it a subscriber?",
        "An event as the check puts them, on a bus of its own, and a queue that subscribes to the topic of notifications",
        "yes, within a minute",
    ),
    question(
        "failed-invocations",
        "How often did EventBridge fail to reach the topic?",
        "The metric FailedInvocations of the rule, at the end of the run",
        "never",
    ),
    question(
        "passed-to-service",
        "To which service does CreateFargateProfile pass the pod execution role?",
        "CreateFargateProfile in a session that may pass roles to eks-fargate-pods.amazonaws.com only",
        "to eks.amazonaws.com, so the call is denied",
    ),
    question(
        "access-entry-token",
        "What does EKS say of the client token of an access entry that was deleted?",
        "CreateAccessEntry, DeleteAccessEntry and the first again, with one token",
        "hardway sends no such token",
    ),
    question(
        "invalid-principal",
        "What does EKS say of an access entry for a role that does not exist?",
        "CreateAccessEntry for a name that nobody has",
        "InvalidParameterException: The specified principalArn is invalid: invalid principal",
    ),
    question(
        "logging-unchanged",
        "What does UpdateClusterConfig say when the logging is as it was?",
        "The cluster's own logging once more",
        "InvalidParameterException: No changes needed for the logging config provided",
    ),
    question(
        "entry-of-eks-itself",
        "Does EKS make an access entry for its service-linked role?",
        "ListAccessEntries of the cluster",
        "it may; hardway leaves entries alone that are not its own",
    ),
    question(
        "address-in-use",
        "How does ReleaseAddress refuse an address that a NAT gateway uses?",
        "ReleaseAddress of the cluster's own, before the teardown",
        "InvalidIPAddress.InUse or AuthFailure",
    ),
    Question {
        never: Some(
            "not asked: it takes a new account in an organization; keep the event if you have one",
        ),
        ..question(
            "joined-organization-event",
            "What is the shape of AccountJoinedOrganization?",
            "An account that joins, and a rule that keeps the event",
            "detail.serviceEventDetails names the account, and possibly how it joined",
        )
    },
    Question {
        never: Some("not asked: it takes an account whose StartExecution is throttled"),
        ..question(
            "throttled-start",
            "Under which name does a state see that StartExecution was throttled?",
            "Hundreds of executions at once from a Map state",
            "StepFunctions.AWSStepFunctionsException",
        )
    },
];

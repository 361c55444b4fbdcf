//! AWS error codes, as they stand on the wire.
//!
//! Sources: the EC2 API reference's list of error codes, the service models of EKS, IAM and STS, and
//! what the Terraform AWS provider handles. Business logic names a code by its constant.

/// EC2: the VPC is not there (or not visible yet).
pub const VPC_NOT_FOUND: &str = "InvalidVpcID.NotFound";
/// EC2: the subnet is not there (or not visible yet).
pub const SUBNET_NOT_FOUND: &str = "InvalidSubnetID.NotFound";
/// EC2: another spelling of [`SUBNET_NOT_FOUND`].
pub const SUBNET_NOT_FOUND_TOO: &str = "InvalidSubnetId.NotFound";
/// EC2: the internet gateway is not there (or not visible yet).
pub const INTERNET_GATEWAY_NOT_FOUND: &str = "InvalidInternetGatewayID.NotFound";
/// EC2: a gateway named in a route is not there (or not visible yet).
pub const GATEWAY_NOT_FOUND: &str = "InvalidGatewayID.NotFound";
/// EC2: the route table is not there (or not visible yet).
pub const ROUTE_TABLE_NOT_FOUND: &str = "InvalidRouteTableID.NotFound";
/// EC2: another spelling of [`ROUTE_TABLE_NOT_FOUND`].
pub const ROUTE_TABLE_NOT_FOUND_TOO: &str = "InvalidRouteTableId.NotFound";
/// EC2: the route is not there.
pub const ROUTE_NOT_FOUND: &str = "InvalidRoute.NotFound";
/// EC2: the association of a route table is not there.
pub const ASSOCIATION_NOT_FOUND: &str = "InvalidAssociationID.NotFound";
/// EC2: the Elastic IP address is not there (or not visible yet).
pub const ALLOCATION_NOT_FOUND: &str = "InvalidAllocationID.NotFound";
/// EC2: the NAT gateway is not there (or not visible yet).
pub const NAT_GATEWAY_NOT_FOUND: &str = "NatGatewayNotFound";
/// EC2: what CreateRoute and ReplaceRoute say instead of [`NAT_GATEWAY_NOT_FOUND`].
pub const NAT_GATEWAY_OF_ROUTE_NOT_FOUND: &str = "InvalidNatGatewayID.NotFound";
/// EC2: the security group is not there (or not visible yet).
pub const SECURITY_GROUP_NOT_FOUND: &str = "InvalidGroup.NotFound";
/// EC2: the network interface is not there (or not visible yet).
pub const NETWORK_INTERFACE_NOT_FOUND: &str = "InvalidNetworkInterfaceID.NotFound";
/// EC2: the subnet's CIDR block overlaps another subnet of the VPC.
pub const SUBNET_CONFLICT: &str = "InvalidSubnet.Conflict";
/// EC2: it is attached or associated already.
pub const ALREADY_ASSOCIATED: &str = "Resource.AlreadyAssociated";
/// EC2: the route table has a route for that destination already.
pub const ROUTE_ALREADY_EXISTS: &str = "RouteAlreadyExists";
/// EC2: something else still depends on the resource.
pub const DEPENDENCY_VIOLATION: &str = "DependencyViolation";
/// EC2: the internet gateway is not attached to that VPC.
pub const GATEWAY_NOT_ATTACHED: &str = "Gateway.NotAttached";
/// EC2: the VPC endpoint is not there.
pub const VPC_ENDPOINT_NOT_FOUND: &str = "InvalidVpcEndpointId.NotFound";
/// EC2: the address is in use.
pub const ADDRESS_IN_USE: &str = "InvalidIPAddress.InUse";
/// EC2: the address has a PTR record, or had one until minutes ago (cloud-custodian/cloud-custodian pull request
/// 8924).
pub const ADDRESS_HAS_PTR_RECORD: &str = "InvalidAddress.PtrSet";
/// EC2: a parameter is not valid; also how DeleteNetworkInterface says that it is attached.
pub const INVALID_PARAMETER_VALUE: &str = "InvalidParameterValue";
/// EC2: what CreateRoute says with [`INVALID_PARAMETER_VALUE`] while it does not see that the gateway is
/// attached to the route table's VPC (captured answer of AWS: radkawar/stackd,
/// testdata/aws/ec2/internet_gateways.json).
pub const DIFFERENT_NETWORKS_MESSAGE: &str = "belong to different networks";
/// EC2: what ReplaceRoute says with [`INVALID_PARAMETER_VALUE`] for a route that is not there (captured
/// answer of AWS: radkawar/stackd, testdata/aws/ec2/networking.json).
pub const NO_ROUTE_MESSAGE: &str = "There is no route defined for";
/// EC2: what DeleteNetworkInterface says with [`INVALID_PARAMETER_VALUE`] for an attached interface.
pub const CURRENTLY_IN_USE_MESSAGE: &str = "currently in use";
/// EC2: what AttachInternetGateway says with [`INVALID_PARAMETER_VALUE`] for a VPC that has one.
pub const HAS_INTERNET_GATEWAY_MESSAGE: &str = "already has an internet gateway attached";
/// EC2: the resource is in the hands of an AWS service.
pub const OPERATION_NOT_PERMITTED: &str = "OperationNotPermitted";
/// EC2: not authorized; also what ReleaseAddress answers for a released address and for one that a
/// service still uses (Cluster API Provider AWS waits for it, pkg/cloud/services/network/eips.go), and
/// what any call answers to credentials that are unknown in the region.
pub const AUTH_FAILURE: &str = "AuthFailure";
/// EC2: the answer to a dry run that would have succeeded.
pub const DRY_RUN_OPERATION: &str = "DryRunOperation";

/// EC2: there are no NAT gateways in the subnet's zone (terraform-aws-secure-for-cloud pull request 52).
pub const NOT_AVAILABLE_IN_ZONE: &str = "NotAvailableInZone";

/// EC2: the client token was used before, with other parameters, or for something that is deleted
/// (captured answers of AWS: radkawar/stackd, testdata/aws/ec2/route_table_idempotency.json).
pub const IDEMPOTENT_PARAMETER_MISMATCH: &str = "IdempotentParameterMismatch";

/// Why a NAT gateway failed, where another one in the same subnet would fail as well.
pub const TERMINAL_NAT_GATEWAY_FAILURES: &[&str] = &["InsufficientFreeAddressesInSubnet"];

/// IAM: no such role, policy or attachment.
pub const NO_SUCH_ENTITY: &str = "NoSuchEntity";
/// IAM: the name is taken.
pub const ENTITY_ALREADY_EXISTS: &str = "EntityAlreadyExists";
/// IAM: the request is not valid; for CreateServiceLinkedRole: the role exists already.
pub const INVALID_INPUT: &str = "InvalidInput";
/// IAM: the role still has policies or instance profiles.
pub const DELETE_CONFLICT: &str = "DeleteConflict";
/// IAM: a quota. EC2 and EKS have names of their own.
pub const LIMIT_EXCEEDED: &str = "LimitExceeded";

/// EKS: no such cluster, profile, add-on or entry.
pub const RESOURCE_NOT_FOUND: &str = "ResourceNotFoundException";
/// EKS: three things in one (the name exists, a sibling is changing, the cluster is updating).
pub const RESOURCE_IN_USE: &str = "ResourceInUseException";
/// EKS: a parameter is not valid; also how it says that IAM has not propagated yet.
pub const INVALID_PARAMETER: &str = "InvalidParameterException";
/// EKS: the cluster is not ready for what is asked of it; of an upgrade, its insights say why.
pub const INVALID_STATE: &str = "InvalidStateException";
/// EKS: the caller's fault; also how DescribeCluster sometimes says that there is none.
pub const CLIENT_EXCEPTION: &str = "ClientException";
/// EKS: the control plane, or pods on Fargate, cannot live in one of the subnets' zones; the answer names
/// those that can.
pub const UNSUPPORTED_AVAILABILITY_ZONE: &str = "UnsupportedAvailabilityZoneException";

/// EKS: the request does not fit what there is.
pub const INVALID_REQUEST: &str = "InvalidRequestException";

/// CloudWatch Logs: the log group exists already.
pub const RESOURCE_ALREADY_EXISTS: &str = "ResourceAlreadyExistsException";
/// CloudWatch Logs: somebody else, EKS for example, makes or deletes the same log group right now
/// (botocore's model of CreateLogGroup and DeleteLogGroup).
pub const OPERATION_ABORTED: &str = "OperationAbortedException";

/// Systems Manager: no such parameter.
pub const PARAMETER_NOT_FOUND: &str = "ParameterNotFound";
/// Systems Manager: the name is taken.
pub const PARAMETER_ALREADY_EXISTS: &str = "ParameterAlreadyExists";
/// Systems Manager: a member of the request is not as it should be.
pub const VALIDATION: &str = "ValidationException";
/// Systems Manager's words, as [`VALIDATION`], for an update of a parameter that does not exist.
pub const PARAMETER_TYPE_REQUIRED_MESSAGE: &str = "parameter type is required";

/// Codes that mean: slow down. The SDK has retried them already.
pub const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "EC2ThrottledException",
    "SlowDown",
];

/// Codes that mean: AWS is at fault, ask again.
pub const UNAVAILABLE: &[&str] = &[
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServerException",
    "ServiceFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Unavailable",
    "RequestTimeout",
    "RequestTimeoutException",
];

/// STS: it is not activated in the region for the account; also of a region that is not enabled there.
pub const REGION_DISABLED: &str = "RegionDisabledException";
/// STS and IAM: the access key is unknown; also everybody's in a region that is not enabled.
pub const INVALID_CLIENT_TOKEN_ID: &str = "InvalidClientTokenId";
/// EKS and other JSON services: the same as [`INVALID_CLIENT_TOKEN_ID`].
pub const UNRECOGNIZED_CLIENT: &str = "UnrecognizedClientException";
/// STS: not authorized; of AssumeRole also while the role has not spread (boto/boto3 issue 1216).
pub const STS_ACCESS_DENIED: &str = "AccessDenied";
/// EC2: AWS has blocked the account.
pub const BLOCKED: &str = "Blocked";

/// Codes of an account that AWS has not made usable yet.
pub const ACCOUNT_NOT_READY: &[&str] = &[
    "OptInRequired",
    "PendingVerification",
    "SubscriptionRequiredException",
    REGION_DISABLED,
];

/// Codes for credentials that AWS does not know: of a new account's session or region it does not know
/// them yet, afterwards they are wrong.
pub const UNKNOWN_CREDENTIALS: &[&str] =
    &[AUTH_FAILURE, INVALID_CLIENT_TOKEN_ID, UNRECOGNIZED_CLIENT];

/// Codes that mean: not allowed.
pub const ACCESS_DENIED: &[&str] = &[
    STS_ACCESS_DENIED,
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
    AUTH_FAILURE,
    INVALID_CLIENT_TOKEN_ID,
    UNRECOGNIZED_CLIENT,
    "ExpiredToken",
    "ExpiredTokenException",
];

/// What AWS says, with one of [`ACCESS_DENIED`], when a policy forbids the call for good.
pub const EXPLICIT_DENY_MESSAGE: &str = "explicit deny";
/// What AWS says, with one of [`ACCESS_DENIED`], when no service control policy of the organization allows
/// the call: a list of what is allowed, in place of a denial (IAM user guide, troubleshoot access denied
/// error messages).
pub const NOT_ON_ALLOW_LIST_MESSAGE: &str = "no service control policy allows";
/// What both of a service control policy's errors say.
pub const SERVICE_CONTROL_POLICY_MESSAGE: &str = "service control policy";

/// Codes of a service quota that is used up.
pub const QUOTA_EXCEEDED: &[&str] = &[
    "VpcLimitExceeded",
    "InternetGatewayLimitExceeded",
    "SubnetLimitExceeded",
    "AddressLimitExceeded",
    "NatGatewayLimitExceeded",
    "RouteTableLimitExceeded",
    "RouteLimitExceeded",
    "ResourceLimitExceeded",
    "ResourceLimitExceededException",
    "ServiceQuotaExceededException",
    LIMIT_EXCEEDED,
    "LimitExceededException",
    "ParameterLimitExceeded",
];

/// Codes of something that exists but cannot be seen everywhere yet, or that is changing right now.
///
/// EC2's page on eventual consistency: a new id may be "not found" for the next call.
pub const NOT_YET_VISIBLE: &[&str] = &[
    VPC_NOT_FOUND,
    SUBNET_NOT_FOUND,
    SUBNET_NOT_FOUND_TOO,
    INTERNET_GATEWAY_NOT_FOUND,
    GATEWAY_NOT_FOUND,
    ROUTE_TABLE_NOT_FOUND,
    ROUTE_TABLE_NOT_FOUND_TOO,
    ROUTE_NOT_FOUND,
    ASSOCIATION_NOT_FOUND,
    ALLOCATION_NOT_FOUND,
    NAT_GATEWAY_NOT_FOUND,
    NAT_GATEWAY_OF_ROUTE_NOT_FOUND,
    SECURITY_GROUP_NOT_FOUND,
    NETWORK_INTERFACE_NOT_FOUND,
    "IncorrectState",
    "InvalidState",
    "ConcurrentMutationLimitExceeded",
    "ResourceNotReady",
    NO_SUCH_ENTITY,
    "ConcurrentModification",
    "ConcurrentModificationException",
    "TooManyUpdates",
    OPERATION_ABORTED,
    RESOURCE_NOT_FOUND,
];

/// What EKS says, as [`INVALID_PARAMETER`], while a role, its trust or its policies have not
/// propagated. The list is the one that the Terraform AWS provider retries.
pub const IAM_PROPAGATION_MESSAGES: &[&str] = &[
    "does not exist",
    INVALID_PRINCIPAL_MESSAGE,
    "Error in role params",
    "could not be assumed because",
    "the trusted entity is not correct",
    "Misconfigured PodExecutionRole Trust Policy",
    "doesn't have the Amazon EKS Managed Policies associated with it",
    "IAM role's policy must include",
];

/// What CreateAccessEntry says of a role that EKS does not see yet, or that there is not: "The specified
/// principalArn is invalid: invalid principal." (the Terraform AWS provider retries it).
pub const INVALID_PRINCIPAL_MESSAGE: &str = "invalid principal";

/// EKS's words, as [`INVALID_REQUEST`], for a change of what is in a cluster that is being deleted (a
/// captured answer of DisassociateAccessPolicy).
pub const CLUSTER_DELETING_MESSAGE: &str = "cluster was in DELETING state";
/// KMS: there is no such key.
pub const KEY_NOT_FOUND: &str = "NotFoundException";
/// EKS: what CreateCluster says, as INVALID_REQUEST, to who may not use the key of the secrets
/// (kubernetes-sigs/cluster-api-provider-aws issue 2432, aws-quickstart/
/// quickstart-amazon-eks-cluster-resource-provider issue 25).
pub const KEY_DENIED_MESSAGE: &str = "User not authorized to perform kms:";

/// What is in the ARN of every service-linked role. EKS makes its own with the first cluster of an account
/// and then says, as [`INVALID_PARAMETER`], that it cannot be assumed (aws/aws-k8s-tester issue 232).
pub const SERVICE_LINKED_ROLE_PATH: &str = "role/aws-service-role/";

/// IAM's words, as [`INVALID_INPUT`], for a service-linked role that exists.
pub const SERVICE_LINKED_ROLE_EXISTS_MESSAGE: &str = "has been taken";

/// EKS's words, sometimes as [`CLIENT_EXCEPTION`], for a cluster that does not exist.
pub const NO_CLUSTER_FOUND_MESSAGE: &str = "No cluster found";

/// EKS's words, as [`INVALID_PARAMETER`], for an update that would change nothing: of the endpoint
/// (aws/aws-cdk issue 10142), and of logging (eksctl's and public scripts' match). Of the other kinds
/// nobody has reported the words.
pub const NOTHING_TO_UPDATE_MESSAGES: &[&str] = &[
    "already at the desired configuration",
    "No changes needed for the logging config provided",
];

/// EKS's words, as InvalidRequestException, for an upgrade that pods with too old kubelets are in
/// the way of (oslokommune/okctl issue 1015, eksctl issue 2545).
pub const FARGATE_KUBELETS_MESSAGE: &str = "Kubelet version of Fargate pods";

/// EKS's words, as [`RESOURCE_IN_USE`], for what passes by itself: an update, of which no describe call may
/// show anything (aws/containers-roadmap issues 1500 and 2677), a cluster, profile or add-on that is
/// changing (kubernetes-sigs/cluster-api-provider-aws issue 4728, eksctl issue 8091), and a name that an
/// earlier attempt has taken, which the next look shows. Everything else is in the way until somebody
/// removes it, for example `Cluster has nodegroups attached` and `Cluster has capabilities attached`
/// (ekristen/aws-nuke issue 970).
pub const PASSING_IN_USE_MESSAGES: &[&str] = &[
    "in progress",
    "CREATING",
    "UPDATING",
    "DELETING",
    "already exist",
];

/// EKS's words, as [`RESOURCE_IN_USE`], for a Fargate profile whose sibling is changing.
pub const SIBLING_IN_STATUS_MESSAGE: &str = "in status";

/// EKS's words, as [`INVALID_PARAMETER`], for a subnet whose route table leads to an internet gateway.
pub const NOT_A_PRIVATE_SUBNET_MESSAGE: &str = "is not a private subnet";

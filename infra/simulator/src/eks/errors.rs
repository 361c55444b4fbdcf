//! EKS' errors, with the statuses of botocore's EKS model.

use crate::api_error::ApiError;

/// `InvalidParameterException`.
pub(super) fn invalid_parameter(message: &str) -> ApiError {
    ApiError::client("InvalidParameterException", message)
}

/// `InvalidRequestException`.
pub(super) fn invalid_request(message: &str) -> ApiError {
    ApiError::client("InvalidRequestException", message)
}

/// `InvalidStateException`.
pub(super) fn invalid_state(message: &str) -> ApiError {
    ApiError::client("InvalidStateException", message)
}

/// `ClientException`.
pub(super) fn client(message: &str) -> ApiError {
    ApiError::client("ClientException", message)
}

/// `ResourceInUseException`. Not modelled on CreateFargateProfile and DeleteFargateProfile, yet what
/// EKS answers there (eksctl-io/eksctl issue 5652: status 409).
pub(super) fn in_use(message: &str) -> ApiError {
    ApiError::new(409, "ResourceInUseException", message)
}

/// `ResourceNotFoundException`.
pub(super) fn not_found(message: &str) -> ApiError {
    ApiError::new(404, "ResourceNotFoundException", message)
}

/// `ResourceLimitExceededException`.
pub(super) fn limit_exceeded(message: &str) -> ApiError {
    ApiError::client("ResourceLimitExceededException", message)
}

/// `UnsupportedAvailabilityZoneException`, with the names of the zones that would do.
pub(super) fn unsupported_zone(message: &str, valid_zones: &[String]) -> ApiError {
    ApiError::client("UnsupportedAvailabilityZoneException", message)
        .with("validZones", valid_zones)
}

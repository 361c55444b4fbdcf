//! The Lambda function of the step `pod-execution-role`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::steps::pod_execution_role::PodExecutionRole>().await
}

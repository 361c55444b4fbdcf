//! The Lambda function of the step `control-plane-logs`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::steps::control_plane_logs::ControlPlaneLogs>().await
}

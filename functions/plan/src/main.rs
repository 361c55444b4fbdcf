//! The Lambda function `plan`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    step::run::<plan::Planner>().await
}

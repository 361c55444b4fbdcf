//! The Lambda function of the step `vpc`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::steps::vpc::Vpc>().await
}

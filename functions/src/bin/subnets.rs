//! The Lambda function of the step `subnets`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::steps::subnets::Subnets>().await
}

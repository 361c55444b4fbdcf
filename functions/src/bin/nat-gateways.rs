//! The Lambda function of the step `nat-gateways`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::steps::nat_gateways::NatGateways>().await
}

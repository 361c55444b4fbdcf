//! The Lambda function `fleet-member`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::fleet_member::FleetMember>().await
}

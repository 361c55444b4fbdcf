//! The Lambda function of the step `private-routes`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::steps::private_routes::PrivateRoutes>().await
}

//! The Lambda function of the step `public-routes`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::steps::public_routes::PublicRoutes>().await
}

//! The Lambda function of the step `private-routes`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    step::run::<private_routes::PrivateRoutes>().await
}

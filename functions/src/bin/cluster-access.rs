//! The Lambda function of the step `cluster-access`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::steps::cluster_access::ClusterAccess>().await
}

//! The Lambda function `receipt`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::receipt::ReceiptOfTeardown>().await
}

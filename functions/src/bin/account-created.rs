//! The Lambda function `account-created`.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    functions::contract::run::<functions::account_created::AccountCreated>().await
}

//! Serves a simulator on 127.0.0.1, for example for the AWS CLI:
//!
//! ```text
//! cargo run --example serve -- 4580 60
//! AWS_ACCESS_KEY_ID=111122223333 AWS_SECRET_ACCESS_KEY=x AWS_REGION=ap-northeast-1 \
//!     aws --endpoint-url http://127.0.0.1:4580 ec2 describe-vpcs
//! ```
//!
//! The first argument is the port (0: any), the second how many times faster than the clock on the
//! wall the simulated one runs (1 without it).

use simulator::{Clock, Config, Simulator};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().as_deref().unwrap_or("0").parse()?;
    let speed: f64 = arguments.next().as_deref().unwrap_or("1").parse()?;

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    let config = Config {
        clock: Clock::scaled(speed),
        ..Config::default()
    };
    Simulator::new(config).serve(listener).await?;
    Ok(())
}

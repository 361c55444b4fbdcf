//! How long calls take when many accounts have something:
//!
//! ```text
//! cargo run --example crowd -- 1000
//! ```
//!
//! Each account gets a VPC with two subnets and is then asked for them ten times; the mean time of a
//! call is that on the wall, its protocol included.

use std::time::Instant;

use aws_sdk_ec2::config::{Credentials, Region};
use aws_sdk_ec2::{Client, Config, Error};
use simulator::Simulator;

/// How often each account is asked for its subnets.
const ROUNDS: u32 = 10;

fn client(simulator: &Simulator, account: u32) -> Client {
    let key = format!("{account:012}");
    let config = Config::builder()
        .http_client(simulator.http_client())
        .credentials_provider(Credentials::new(key, "secret", None, None, "crowd"))
        .region(Region::from_static("ap-northeast-1"));
    Client::from_conf(config.build())
}

async fn furnish(ec2: &Client) -> Result<(), Error> {
    let made = ec2.create_vpc().cidr_block("10.0.0.0/16").send().await?;
    let vpc = made.vpc.and_then(|vpc| vpc.vpc_id).unwrap_or_default();
    for cidr in ["10.0.0.0/24", "10.0.1.0/24"] {
        let call = ec2.create_subnet().vpc_id(&vpc).cidr_block(cidr);
        call.send().await?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let accounts: u32 = std::env::args()
        .nth(1)
        .as_deref()
        .unwrap_or("100")
        .parse()?;
    let simulator = Simulator::new(simulator::Config::default());
    let clients: Vec<Client> = (1..=accounts).map(|it| client(&simulator, it)).collect();
    let start = Instant::now();
    for ec2 in &clients {
        furnish(ec2).await?;
    }
    for _ in 0..ROUNDS {
        for ec2 in &clients {
            ec2.describe_subnets().send().await?;
        }
    }
    let calls = accounts * (3 + ROUNDS);
    println!(
        "{accounts} accounts: {:.2} ms for each of {calls} calls",
        start.elapsed().as_secs_f64() * 1000.0 / f64::from(calls)
    );
    Ok(())
}

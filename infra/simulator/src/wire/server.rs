//! Over a socket: the simulator as an HTTP server.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;

use crate::Simulator;

/// No request of these services is near this size.
const BODY_LIMIT: usize = 1 << 20;

impl Simulator {
    /// Serves on `listener` until the future is dropped. Bind it to 127.0.0.1.
    ///
    /// # Errors
    /// What the socket cannot do.
    pub async fn serve(&self, listener: TcpListener) -> std::io::Result<()> {
        let router = Router::new().fallback(handle).with_state(self.clone());
        axum::serve(listener, router).await
    }
}

async fn handle(State(simulator): State<Simulator>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        let mut response = Response::new(Body::from("the request's body could not be read"));
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
        return response;
    };
    let request = http::Request::from_parts(parts, body.to_vec());
    simulator.answer(&request).map(Body::from)
}

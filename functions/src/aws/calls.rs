//! The two kinds of calls that every step makes: those that change something, between two lines of the
//! log, and those that list, page after page.

use aws_smithy_async::future::pagination_stream::PaginationStream;

use crate::aws::telemetry::{changed, changing};

/// Makes a call that changes AWS (named as IAM does, for example `ec2:DeleteVpc`): one line of the log
/// before it, and one after it unless it failed.
///
/// The answer is the SDK's own, so that a step can look for the codes it expects before `during`.
///
/// # Errors
/// What AWS answers.
pub fn change<T, E>(
    call: &str,
    resource: &str,
    sent: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>> {
    // Boxed, because a future that holds another one twice grows with each of its callers.
    let sent = Box::pin(sent);
    async move {
        changing(call, resource);
        let answer = sent.await;
        if answer.is_ok() {
            changed(call, resource);
        }
        answer
    }
}

/// All items that a call lists, on all its pages, or the SDK's error:
/// `list!(call).await.during("ec2:DescribeVpcs")?`.
///
/// A macro, because the SDK's paginators have no trait in common.
macro_rules! list {
    ($call:expr) => {
        $crate::aws::calls::collect($call.into_paginator().items().send())
    };
}
pub(crate) use list;

/// All items of a paginator, for [`list!`].
///
/// # Errors
/// What AWS answers to any of the pages.
pub async fn collect<T, E>(items: PaginationStream<Result<T, E>>) -> Result<Vec<T>, E> {
    items.collect().await
}

//! Listing: all pages of a call, in one place.

use aws_smithy_async::future::pagination_stream::PaginationStream;

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

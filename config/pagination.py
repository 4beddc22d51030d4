"""Cursor paging by newest first: as quick on the last page of a million rows as on the first."""

from rest_framework.pagination import CursorPagination


class ByNewest(CursorPagination):
    ordering = "-id"
    page_size_query_param = "page_size"
    max_page_size = 500

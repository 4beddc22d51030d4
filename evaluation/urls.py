"""Addresses of the leads' pages: rounds, runs and models."""

from django.urls import include, path

urlpatterns = [path("", include("training.urls"))]

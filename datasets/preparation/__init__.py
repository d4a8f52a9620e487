"""Preparation: conversion of native files to the frames that training reads."""

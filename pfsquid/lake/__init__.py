"""The lake: Apache Iceberg tables in a folder. Facts are kept as they came; meaning is joined when asked."""

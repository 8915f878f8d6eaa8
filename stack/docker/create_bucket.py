"""Creates the bucket of the model artifacts on the server DATAFLIX_S3_HOST, unless it exists."""

import os
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def main() -> None:
    """Create the bucket; exit with 1 and S3's message if S3 refuses."""
    address = f"http://{os.environ['DATAFLIX_S3_HOST']}:{os.environ['DATAFLIX_S3_PORT']}"
    bucket = os.environ["DATAFLIX_S3_BUCKET"]
    client = boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=os.environ["DATAFLIX_S3_ACCESS_KEY"],
        aws_secret_access_key=os.environ["DATAFLIX_S3_SECRET_KEY"],
        region_name="us-east-1",
    )
    try:
        if bucket not in [entry["Name"] for entry in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"S3 at {address} refused the bucket {bucket}: {error}")


if __name__ == "__main__":
    main()

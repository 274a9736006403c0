"""Where a search runs.

launcher: in this process or through a cluster's client port. ray_client: driven from inside the cluster. ray_jobs:
submitted as a job.
"""

"""What a pod's spec may say, shared by Pods and by the templates of Jobs and CronJobs."""

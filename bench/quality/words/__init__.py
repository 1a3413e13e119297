"""Quality of transcripts: word error rate, delay, cost, and what is written where nobody speaks."""

"""What is the loop thread doing? Each probe is its own small module, answers None where it cannot know, never raises."""
